/* Puts a plugin on the stand to work by its kind, with what check.json gives it. Failures of the plugin end
 * the case unless a function says otherwise. */
#ifndef PENSTOCK_CHECK_DRIVE_H
#define PENSTOCK_CHECK_DRIVE_H
#include "check/stand.h"

#define DRIVE_CURSOR_MAX 65536

/* ---- A source ---- */

typedef struct taken { /* one batch; zero it before first use */
    text rows;         /* NDJSON */
    size_t n, rejects;
    char cursor[DRIVE_CURSOR_MAX];
    size_t cursor_len;
} taken;

void drive_open(stand *t, const taken *after); /* NULL = from the start */
/* The next batch with rows, rejects or a cursor. While the source is idle the wall clock is moved on. False:
 * END, or nothing came for a day of its clock. */
bool drive_take(stand *t, uint32_t max_rows, taken *out);
void drive_ack(stand *t, const taken *b);
/* The next records as rejects. False: the source has no skip. */
bool drive_skip(stand *t, uint32_t most, taken *out);
void drive_close(stand *t);
void drive_release(taken *b);
/* Up to `n` rows, acked as they come, as text. */
void drive_rows(stand *t, size_t n, text *out);

/* ---- Kinds that answer ---- */

typedef struct inputs {
    pst_input items[8];
    pst_batch batches[8], train;
    size_t n;
    bool has_train;
} inputs;

/* Reads what check.json names; skips the case if it names nothing. */
void drive_inputs(const stand *t, unsigned repeat, unsigned seed, inputs *out);
void drive_inputs_free(inputs *in);
/* A metric's columns, or what a model says to "rows" after it has learnt. The call is stand_call's last. */
pst_status drive_answer(stand *t, const inputs *in, text *out);
/* Sends check.json's message; the call is stand_call's last. */
pst_status drive_send(stand *t);
/* Hands check.json's input to the sink; the call is stand_call's last. */
pst_status drive_write(stand *t, const inputs *in, uint32_t flags, size_t *n_refused_out);
/* The ids that drive_write gives to a batch, for who puts it into a cell. */
typedef struct outgoing_ids {
    const char *store, *batch_id;
    uint64_t first_seq, last_seq;
} outgoing_ids;
outgoing_ids drive_ids(const inputs *in);
#endif
