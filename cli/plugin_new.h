/* `penstock plugin new KIND NAME`: a project that builds, passes its test and does something small. */
#ifndef PENSTOCK_CLI_PLUGIN_NEW_H
#define PENSTOCK_CLI_PLUGIN_NEW_H
#include "command.h"

extern const flag plugin_new_flags[];
int plugin_new(invocation *inv);
#endif
