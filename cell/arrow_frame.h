/* Batches between a frame and Arrow structs. */
#ifndef PENSTOCK_CELL_ARROW_FRAME_H
#define PENSTOCK_CELL_ARROW_FRAME_H
#include "penstock/plugin.h"
#include "wire/frame.h"

enum { ARROW_INPUTS_MAX = 16 };

/* Named batches over the memory of the frame they were read from. */
typedef struct arrow_inputs {
    pst_input items[ARROW_INPUTS_MAX];
    size_t n;
    void *memory[ARROW_INPUTS_MAX];
} arrow_inputs;

/* Reads the batches that stand next in the frame; false: malformed, or no memory. */
bool arrow_inputs_read(frame_reader *r, arrow_inputs *out);
void arrow_inputs_free(arrow_inputs *inputs);

/* Writes stream, cursor, rejects and columns of a plugin's batch, then releases it. */
pst_status arrow_batch_write(frame_writer *w, pst_batch *b, pst_error *error);
void arrow_batch_release(pst_batch *b); /* zeroed is fine */
#endif
