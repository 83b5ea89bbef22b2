/* Watches folders and their direct sub-folders on a thread of its own and says when something settled there:
 * a quiet moment after a change. Folders may come and go. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_WATCH_H
#define PENSTOCK_PLUGIN_WATCH_H
#include <stddef.h>

#include "base/status.h"

#define WATCH_QUIET_MS 100    /* without a change, before something counts as settled */
#define WATCH_MISSING_MS 1000 /* how often a folder that is not there is looked for */

typedef struct watch watch;

/* `folders` must live until watch_stop. Calls once at the start, for what changed before. */
status_class watch_start(const char *const *folders, size_t n_folders, void (*on_settled)(void *arg),
                         void *arg, watch **watch_out, status *st);
void watch_stop(watch *w); /* waits for the thread; NULL is fine */
#endif
