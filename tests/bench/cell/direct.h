/* A model called without a cell: the same object file loaded into this program. Only measurements do this. */
#ifndef PENSTOCK_BENCH_CELL_DIRECT_H
#define PENSTOCK_BENCH_CELL_DIRECT_H
#include <jansson.h>

#include "penstock/plugin.h"

typedef struct direct {
    pst_host host;
    const pst_plugin *plugin;
    const pst_infer *infer;
    void *self, *loaded;
} direct;

/* Ends the program with a message when the file cannot be used. `config` is complete and outlives `d`. */
void direct_open(direct *d, const char *file, json_t *config, pst_bytes artifact);
/* The batch is the caller's. */
void direct_infer(direct *d, const pst_input *inputs, size_t n_inputs, pst_batch *out);
void direct_close(direct *d);
#endif
