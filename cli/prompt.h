/* Questions to the person at the terminal. Without one, or with --no-input, they fail and name the flag that
 * would have answered. Secrets are read without echo, or as one line from standard input. */
#ifndef PENSTOCK_CLI_PROMPT_H
#define PENSTOCK_CLI_PROMPT_H
#include "base/status.h"
#include "base/text.h"
#include "command.h"

#define PROMPT_SECRET_MAX 65536

/* STATUS_OK = yes. STATUS_CANCELLED = no. --yes answers for the person. */
status_class prompt_confirm(const invocation *inv, const char *question, status *st);
/* Deleting data: --confirm must repeat the name; a person at a terminal may type it. */
status_class prompt_name(const invocation *inv, const char *name, status *st);
/* From --file, from standard input, or typed without echo; a last newline is cut off. */
status_class prompt_secret(const invocation *inv, const char *label, text *out, status *st);
#endif
