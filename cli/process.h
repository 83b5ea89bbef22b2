/* Programs of ours that run in the background: found, started, recognised by their pid file, ended.
 *
 * A pid file alone proves nothing: a process counts as ours only if its command line carries the folder that
 * it was started with. Signals go through a pidfd, so a number that was given to somebody else meanwhile is
 * never hit. */
#ifndef PENSTOCK_CLI_PROCESS_H
#define PENSTOCK_CLI_PROCESS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "base/text.h"

/* Beside this program (installed), or where the build tree has it: program_find("penstockd", …). */
status_class program_find(const char *name, char *out, size_t size, status *st);
/* A folder of the installation: "templates" → <prefix>/share/penstock/templates, or the source tree's. */
status_class share_find(const char *name, char *out, size_t size, status *st);
/* The folder of the plugins that ship. */
status_class plugins_find(char *out, size_t size, status *st);

/* The running process of the pid file whose command line has `argument`; 0 = none. */
pid_t process_of(const char *pid_file, const char *argument);
/* In a session of its own, without this program's PENSTOCK_ variables, both outputs appended to `log`, its
 * number in `pid_file` (NULL = it writes that itself). */
status_class process_start(const char *const *argv, const char *log, const char *pid_file, pid_t *pid_out,
                           status *st);
/* True if a child of ours has ended; it is collected. */
bool process_ended(pid_t pid, int *code_out);
/* Sends the signal and waits. STATUS_TIMEOUT if it is still there after `timeout_ms`. */
status_class process_end(pid_t pid, int signal_number, int timeout_ms, status *st);
#endif
