/* Bytes as a journal record without its CRCs: decoding must stay inside them, whatever they say. */
#include <stdint.h>
#include <string.h>

#include "flow/journal_record.h"
#include "flow/rejected.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena *a = arena_create(0);
    void *aligned = arena_copy(a, data, size);
    journal_record record;
    batch rows;
    rejected_row reject;
    size_t at = 0;
    volatile char sink = 0;
    if (record_decode(aligned, size, a, &record) && record.kind == JOURNAL_ROWS)
        for (uint32_t i = 0; i < record.rows.n_columns; i++)
            if (record.rows.n_rows && record.rows.columns[i].offsets &&
                record.rows.columns[i].offsets[record.rows.n_rows])
                sink = record.rows.columns[i].data[record.rows.columns[i].offsets[record.rows.n_rows] - 1];
    record_batch_read(aligned, size, a, &rows);
    while (rejected_unpack(aligned, size, &at, &reject))
        sink = (char)(sink + (char)strlen(reject.detail));
    arena_free(a);
    return 0;
}
