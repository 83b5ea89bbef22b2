/* Runs a plugin's code inside the test process: a host made of a JSON config, a clock that stands still and a
 * list of secrets. What a cell adds (limits, deadlines, checks of batches) is tested with real cells in
 * instance_test.c. */
#ifndef PENSTOCK_TESTS_PLUGIN_BENCH_H
#define PENSTOCK_TESTS_PLUGIN_BENCH_H
#include <jansson.h>

#include "penstock/batch.h"

typedef struct plugin_bench {
    pst_host host;
    json_t *config;
    int64_t wall_us;
    const char *secret; /* what every secret reference gives; NULL = refused */
    char cursor[65536];
    void *self;
    pst_error error;
} plugin_bench;

/* `config` is JSON text with everything the plugin reads: defaults of its schema are filled in at the top
 * level. */
pst_status plugin_bench_open(plugin_bench *b, const char *config);
void plugin_bench_close(plugin_bench *b);
pst_call plugin_bench_call(void); /* a minute from now, never cancelled */
/* Releases what a batch holds; zeroed is fine. */
void plugin_bench_release(pst_batch *batch);
pst_batch plugin_bench_batch(void);
const pst_files *plugin_bench_files(void); /* penstock.files without grants: the whole machine */
#endif
