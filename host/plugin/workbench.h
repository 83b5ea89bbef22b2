/* A plugin on the workbench: started in its cell and configured, without a server. For the commands that work
 * on one plugin (`penstock model run`, `penstock plugin run`, penstock-check). What it leaves behind lies in
 * a temporary folder that goes with it. One thread. */
#ifndef PENSTOCK_PLUGIN_WORKBENCH_H
#define PENSTOCK_PLUGIN_WORKBENCH_H
#include "plugin/instance.h"

typedef struct workbench_settings {
    const char *file;          /* the object file; NULL: the plugin `id` of `folder` */
    const char *id, *folder;   /* folder is absolute */
    const plugin_entry *entry; /* what the file is known to be; NULL: a probe cell is asked */
    const json_t *config;      /* without defaults; NULL = {} */
    const char *files;         /* a folder that it may read; NULL = none */
    const char *networks;      /* "127.0.0.0/8,::1/128": private networks that it may reach; NULL = none */
    instance_secrets secrets;
    bool patient; /* no sandbox, no deadlines, core dumps on: for a debugger */
} workbench_settings;

typedef struct workbench {
    nursery *spawner;
    catalog *catalog;
    instance_set *set;
    instance *instance;
    const plugin_entry *entry;
    struct settings *settings;
    char *folder, *cell;
} workbench;

/* Does not start the cell: the first call, or instance_start, does. On failure workbench_close is still to be
 * called. */
status_class workbench_open(workbench *b, const workbench_settings *settings, status *st);
void workbench_close(workbench *b); /* zeroed is fine */
#endif
