/* A plugin on the workbench: found, started in its cell and configured, without a server. What it leaves
 * behind lies in a temporary folder that goes with it. One thread. */
#ifndef PENSTOCK_CLI_PLUGIN_BENCH_H
#define PENSTOCK_CLI_PLUGIN_BENCH_H
#include "base/status.h"
#include "plugin/catalog.h"
#include "plugin/instance.h"

typedef struct plugin_bench {
    nursery *spawner;
    catalog *catalog;
    instance_set *set;
    instance *instance;
    char *folder, *cell;
} plugin_bench;

/* `plugins` NULL = those that ship; `config` is JSON text. On failure plugin_bench_close is still to be
 * called. */
status_class plugin_bench_open(plugin_bench *b, const char *plugin_id, const char *plugins,
                               const char *config, status *st);
void plugin_bench_close(plugin_bench *b); /* zeroed is fine */
#endif
