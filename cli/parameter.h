/* `-p name=value` words as one JSON object. Values are sent as text; the server knows each parameter's type.
 */
#ifndef PENSTOCK_CLI_PARAMETER_H
#define PENSTOCK_CLI_PARAMETER_H
#include <jansson.h>

#include "base/status.h"
#include "command.h"

/* A new object from every value of the flag; NULL and a status if one has no `=`. */
json_t *parameters_of(const invocation *inv, const char *flag_name, status *st);
#endif
