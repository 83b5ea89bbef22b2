/* How a connector's raw payloads are read: its `format:` and `decode:` as a decode plan of the target store.
 *
 *   decode: {separator: ";", decimal_comma: true, columns: [a, b], keep_unmapped: true,
 *            map: {pressure: {from: P, scale: 0.1, offset: 0}, time: {from: ts, time: unix_ms}},
 *            shift_to_now: true}
 *
 * shift_to_now moves every event time by the same amount, so that the first row of the source falls on the
 * moment it is first read; the amount is kept with the source's cursor. */
#ifndef PENSTOCK_FLOW_SOURCE_DECODE_H
#define PENSTOCK_FLOW_SOURCE_DECODE_H
#include "flow/plan.h"

typedef struct source_decode {
    decode_format format;
    decode_plan *plan;  /* with the store's window */
    decode_plan *probe; /* without one: finds the first event time; NULL unless shift_to_now */
} source_decode;

/* STATUS_INVALID with where = a pointer into the connector's definition. */
status_class source_decode_make(const defined_connector *c, const datastore_plan *store, source_decode *out,
                                status *st);
void source_decode_free(source_decode *d); /* zeroed is fine */
#endif
