/* `penstock template validate|schema`, without a server. */
#ifndef PENSTOCK_CLI_TEMPLATE_CHECK_H
#define PENSTOCK_CLI_TEMPLATE_CHECK_H
#include "command.h"

int template_validate_run(invocation *inv);
int template_schema_run(invocation *inv);
#endif
