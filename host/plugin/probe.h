/* Asks a short-lived cell what a shared object is: the host never loads one. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_PROBE_H
#define PENSTOCK_PLUGIN_PROBE_H
#include <jansson.h>

#include "base/status.h"
#include "loop/nursery.h"

#define PROBE_ANSWER_MAX_BYTES (4UL << 20)
#define PROBE_TIMEOUT_MS 5000

/* The description as cell/object.c writes it. INVALID with the reason if the file is no plugin, crashes or
 * hangs. */
status_class probe_run(nursery *spawner, const char *cell_program, const char *user, const char *file,
                       json_t **said_out, status *st);
#endif
