/* What the echo plugins can be told to do wrong, by configuration: which fault, and when. README.md has the
 * list. */
#ifndef PENSTOCK_TESTS_TROUBLE_H
#define PENSTOCK_TESTS_TROUBLE_H
#include "penstock/batch.h"

typedef struct trouble {
    const pst_host *host;
    const char *what; /* NULL = none */
    const char *text; /* trigger: bytes that hold this text; NULL = not by text */
    bool by_value;
    double value;    /* trigger: a row with this number */
    int64_t at_call; /* trigger: the n-th call of a fresh process, from 1; 0 = not by call */
    int64_t calls;
    int bend; /* what is to be done to the batch of this call */
} trouble;

/* Reads /trouble of the config; without it nothing ever happens. */
void trouble_read(trouble *t, const pst_host *host);
/* Counts a call, and makes the trouble if it is due by number or always. Returns an error to answer with, or
 * PST_OK. */
pst_status trouble_call(trouble *t, const pst_call *call, pst_error *error);
/* Makes it if this row, or these bytes, are to trigger it. */
pst_status trouble_row(trouble *t, const pst_call *call, double value, pst_error *error);
pst_status trouble_bytes(trouble *t, const pst_call *call, const void *data, size_t len, pst_error *error);
/* The rows of column /trouble/column (default "value") of all inputs. */
pst_status trouble_inputs(trouble *t, const pst_call *call, const pst_input *inputs, size_t n,
                          pst_error *error);
/* Spoils the batch that is about to be handed over, if that is the trouble. */
void trouble_bend(trouble *t, pst_batch *out);
#endif
