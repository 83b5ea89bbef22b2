/* The loaded plugin: checks the file's exports, loads it with libltdl and checks what its description says.
 */
#ifndef PENSTOCK_CELL_OBJECT_H
#define PENSTOCK_CELL_OBJECT_H
#include <stdbool.h>
#include <stddef.h>

#include "penstock/plugin.h"

/* NULL and `why` if it cannot be used. What is loaded is never unloaded. */
const pst_plugin *object_load(const char *path, char *why, size_t why_size);
/* Writes the plugin's description as JSON to `fd`, or {"error": …}; the exit code of a probe. */
int object_probe(const char *path, int fd);
#endif
