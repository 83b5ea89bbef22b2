/* Programs of others that a command needs: compiler, CMake, pkg-config. Run to their end, their words kept.
 * One thread. */
#ifndef PENSTOCK_CLI_TOOL_H
#define PENSTOCK_CLI_TOOL_H
#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"

#define TOOL_WORDS_MAX 128

/* Both outputs go to `said` (NULL = to this program's own). STATUS_NOT_FOUND: there is no such program. */
status_class tool_run(const char *const *argv, const char *folder, text *said, int *code_out, status *st);
bool tool_is_there(const char *name); /* on the PATH */
#endif
