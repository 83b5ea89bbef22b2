/* Runs the built programs as a user would: arguments in, standard output, standard error and exit code out.
 */
#ifndef PENSTOCK_TESTS_PROGRAM_H
#define PENSTOCK_TESTS_PROGRAM_H
#include "base/text.h"

#include <sys/types.h>

typedef struct program_result {
    int code;
    text out, err;
} program_result;

/* `words`: the command line after "penstock", split at blanks. `input` NULL = /dev/null. `config` is
 * PENSTOCK_CONFIG, `url` PENSTOCK_URL (NULL = unset); a key and the workspace `demo` are set when there is a
 * url. */
program_result program_run(const char *words, const char *config, const char *url, const char *input);
/* The same for a copy of the program. */
program_result program_run_at(const char *program, const char *words, const char *config, const char *url,
                              const char *input);
const char *program_path(void);
void program_result_release(program_result *r);
/* Starts the mail sink on a folder; ended with kill by the caller. */
pid_t mail_sink_start(const char *folder);
#endif
