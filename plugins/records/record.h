/* Where a record ends. CSV as in RFC 4180: a quote opens a quoted field only at the start of a field, and
 * newlines inside quotes belong to the record. Which separator a file has is the host's matter; here , ; tab
 * and | all count. */
#ifndef RECORDS_RECORD_H
#define RECORDS_RECORD_H
#include <stdbool.h>
#include <stddef.h>

typedef enum record_cut {
    RECORD_WHOLE,    /* len bytes without line end, `taken` with it */
    RECORD_MORE,     /* no end in sight yet */
    RECORD_LONG,     /* longer than the limit: skip to the next newline */
    RECORD_UNCLOSED, /* a quote is never closed: the first line (len, taken) is bad, the rest is looked at
                        anew */
} record_cut;

/* `last`: no more bytes will come, so the end of the data ends a record. len > 0. */
record_cut record_find(const char *data, size_t len, bool quotes, bool last, size_t limit, size_t *len_out,
                       size_t *taken_out);
#endif
