/* Rows that intake refused, as they lie in a journal record and go from there to the dead letters. */
#ifndef PENSTOCK_FLOW_REJECTED_H
#define PENSTOCK_FLOW_REJECTED_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "flow/decode.h"

#define REJECTED_BYTES_MAX 65536 /* kept of one row; the rest is cut */

/* How the bytes are to be read when they are sent again. */
typedef enum rejected_form {
    REJECTED_BYTES,     /* nobody knows: a plugin could not read them */
    REJECTED_CONNECTOR, /* as the connector that they came from reads its payloads */
    REJECTED_JSON,
    REJECTED_NDJSON,
    REJECTED_CSV, /* behind the header that is kept beside them */
    REJECTED_LINES_NS,
    REJECTED_LINES_US,
    REJECTED_LINES_MS,
    REJECTED_LINES_S,
    REJECTED_COLLECTD,
    REJECTED_PUTVAL,
} rejected_form;
const char *rejected_form_name(rejected_form form); /* "bytes", "connector", "json", … "lp-ns" … */
bool rejected_form_parse(const char *name, rejected_form *out);
/* What intake reads as: `precision` of lines. DECODE_PLANNED is REJECTED_CONNECTOR. */
rejected_form rejected_form_of(decode_format format, line_precision precision);
/* The other way; false for REJECTED_BYTES. */
bool rejected_form_format(rejected_form form, decode_format *format_out, line_precision *precision_out);

typedef struct rejected_row {
    uint64_t row, line; /* of the input */
    uint32_t column;
    const char *code, *pointer, *detail;
    const char *bytes; /* as it came; for columns out of a plugin its JSON form */
    size_t len;
    rejected_form form;
    uint16_t attempts;  /* that killed a plugin */
    const char *signal; /* how it died; NULL or "" = it did not */
} rejected_row;

void rejected_pack(text *out, const rejected_row *row);
/* Reads one and moves *at on; false at the end (or at bytes that are no packed row). Points into `data`. */
bool rejected_unpack(const char *data, size_t len, size_t *at, rejected_row *out);
#endif
