/* gdb on a cell: started in the foreground when there is one, else the process is named. One thread. */
#ifndef PENSTOCK_CLI_DEBUGGER_H
#define PENSTOCK_CLI_DEBUGGER_H
#include <sys/types.h>

/* Returns once the process is being traced, or at once if nobody can sit before a debugger. 0, or gdb's pid.
 */
pid_t debugger_attach(pid_t cell);
void debugger_wait(pid_t gdb); /* until the person leaves it; 0 is fine */
#endif
