/* Rows that intake refused, as they lie in a journal record and go from there to the dead letters. */
#ifndef PENSTOCK_FLOW_REJECTED_H
#define PENSTOCK_FLOW_REJECTED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define REJECTED_BYTES_MAX 65536 /* kept of one row; the rest is cut */

typedef struct rejected_row {
    uint64_t row, line; /* of the input */
    uint32_t column;
    const char *code, *pointer, *detail;
    const char *bytes; /* as it came; for columns out of a plugin its JSON form */
    size_t len;
} rejected_row;

void rejected_pack(text *out, const rejected_row *row);
/* Reads one and moves *at on; false at the end (or at bytes that are no packed row). Points into `data`. */
bool rejected_unpack(const char *data, size_t len, size_t *at, rejected_row *out);
#endif
