/* `penstock plugin build|test [FOLDER]`: a plugin's project made into its object file, and checked. */
#ifndef PENSTOCK_CLI_PLUGIN_BUILD_H
#define PENSTOCK_CLI_PLUGIN_BUILD_H
#include "command.h"

extern const flag plugin_test_flags[];
int plugin_build(invocation *inv);
int plugin_test(invocation *inv);
#endif
