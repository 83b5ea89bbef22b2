/* Rows between text and the batches that plugins see: NDJSON in and out. What comes out of a plugin is
 * checked against the profile of penstock/batch.h on the way. */
#ifndef PENSTOCK_CHECK_ROWS_H
#define PENSTOCK_CHECK_ROWS_H
#include "base/status.h"
#include "base/text.h"
#include "penstock/batch.h"

/* A batch made from a file of JSON objects; columns in the order in which they come up. Text that is a
 * date-time in every row becomes a time. `repeat` ≥ 1: the rows over and over; `seed` ≠ 0: shuffled. */
status_class rows_read(const char *path, unsigned repeat, unsigned seed, pst_batch *out, status *st);
/* One JSON object a row. False and `why` if the batch breaks the profile. Cells come in the order of the
 * columns. */
bool rows_write(const pst_batch *b, text *out, char *why, size_t why_size);
void rows_release(pst_batch *b); /* zeroed is fine */
#endif
