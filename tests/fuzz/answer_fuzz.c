/* Bytes as what a cell answered, in the host's own memory: every batch that is taken is what it says, whoever
 * wrote it. */
#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "plugin/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 1000 };

static void check_column(const column *c, uint32_t n_rows)
{
    if (!c->offsets)
        return;
    for (uint32_t row = 0; row < n_rows; row++) {
        assert(c->offsets[row] <= c->offsets[row + 1]);
        assert(utf8_valid(c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row])));
    }
}

static void check_batch(const instance_batch *b)
{
    assert(b->rows.n_rows <= ROWS_MAX && strlen(b->stream) < SIZE_MAX);
    for (uint32_t i = 0; i < b->rows.n_columns; i++) {
        assert(strlen(b->names[i]) < SIZE_MAX);
        if (!b->raw)
            check_column(&b->rows.columns[i], b->rows.n_rows);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *frame = memory_alloc(size + 1);
    instance_batch *b;
    status st;
    memcpy(frame, data, size);
    answer_memory *m = answer_memory_make(frame, size);
    frame_reader r = answer_reader(m);
    for (size_t at = SIZE_MAX; at != r.at && answer_batch(m, &r, ROWS_MAX, &b, &st) == STATUS_OK;) {
        check_batch(b);
        instance_batch_free(b);
        at = r.at;
    }
    answer_memory_release(m);
    return 0;
}
