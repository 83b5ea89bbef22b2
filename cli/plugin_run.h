/* `penstock plugin run FILE.so`: a plugin in its real cell, without a server: with its sandbox and deadlines,
 * or for a debugger without. */
#ifndef PENSTOCK_CLI_PLUGIN_RUN_H
#define PENSTOCK_CLI_PLUGIN_RUN_H
#include "command.h"

extern const flag plugin_run_flags[];
int plugin_run(invocation *inv);
#endif
