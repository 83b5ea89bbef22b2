/* Exports a second symbol: it could meet one of another plugin or of the cell. */
#include "penstock/plugin.h"

PST_EXPORT int penstock_second_symbol;
PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin)};
