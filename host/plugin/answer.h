/* Reading what a cell answered: the frame, copied into the host's memory, becomes checked batches and small
 * values. Batches of one answer share that memory; it goes with the last of them. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_ANSWER_H
#define PENSTOCK_PLUGIN_ANSWER_H
#include "plugin/instance.h"
#include "wire/frame.h"

typedef struct answer_memory answer_memory;

/* Takes over `frame` (malloc'ed, may be NULL). */
answer_memory *answer_memory_make(uint8_t *frame, size_t len);
void answer_memory_release(answer_memory *m); /* NULL is fine */
frame_reader answer_reader(const answer_memory *m);

/* Reads stream, cursor, rejects and columns that stand next. INVALID: the cell handed over something that is
 * not a batch; LIMIT: more than `max_rows`. */
status_class answer_batch(answer_memory *m, frame_reader *r, uint32_t max_rows, instance_batch **batch_out,
                          status *st);
#endif
