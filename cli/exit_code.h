/* What the program's exit code says; part of the command line's contract (penstock(1), tests/unit/cli). */
#ifndef PENSTOCK_CLI_EXIT_CODE_H
#define PENSTOCK_CLI_EXIT_CODE_H
#include "base/status.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CHANGES = 3, /* template plan --exit-code: there are some */
    EXIT_NOT_FOUND = 4,
    EXIT_DENIED = 5,
    EXIT_CONFLICT = 6,
    EXIT_INVALID = 7,
    EXIT_UNREACHABLE = 8, /* or too slow: trying again may help */
    EXIT_PARTIAL = 9,
    EXIT_INTERRUPTED = 130,
};

int exit_code_of(status_class class);
/* The class that an HTTP status of the server stands for; STATUS_OK for 2xx. */
status_class status_class_of_http(long http);
#endif
