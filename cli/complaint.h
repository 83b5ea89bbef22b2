/* Everything the program says that is not a result: on standard error, in few lines.
 *
 * An error is up to three lines: what failed, why (with its place), what to try; then the server's request
 * id. */
#ifndef PENSTOCK_CLI_COMPLAINT_H
#define PENSTOCK_CLI_COMPLAINT_H
#include "base/status.h"
#include "command.h"

/* Prints the error and returns the exit code for its class. `what` may be NULL. */
int complain(const char *what, const status *st);
/* Same for wrong usage: exit code 2. */
int complain_usage(const status *st);
/* The id that the last answer of the server carried; NULL = none. Printed with the next error. */
void complaint_request_id(const char *id);
/* The next error is about how the program was called, whatever its class: exit code 2. */
void complaint_of_usage(void);
/* One line of talk, not an error. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);
#endif
