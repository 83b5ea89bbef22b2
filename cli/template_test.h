/* `penstock template test`: a template's own tests on a host that lives only for them. */
#ifndef PENSTOCK_CLI_TEMPLATE_TEST_H
#define PENSTOCK_CLI_TEMPLATE_TEST_H
#include "command.h"

int template_test_command(invocation *inv);
extern const flag template_test_flags[];
#endif
