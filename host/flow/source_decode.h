/* How a connector's raw payloads are read: its `format:` and `decode:` as a decode plan of the target store,
 * and for JSON a reshape plan before it. docs/decode.md is the manual.
 *
 * shift_to_now moves every event time by the same amount, so that the first row of the source falls on the
 * moment it is first read; the amount is kept with the source's cursor. */
#ifndef PENSTOCK_FLOW_SOURCE_DECODE_H
#define PENSTOCK_FLOW_SOURCE_DECODE_H
#include "base/arena.h"
#include "flow/plan.h"
#include "flow/rejected.h"
#include "flow/reshape.h"
#include "plugin/instance.h"

typedef struct source_decode {
    decode_format format;
    decode_plan *plan;   /* with the store's window */
    decode_plan *probe;  /* without one: finds the first event time; NULL unless shift_to_now */
    reshape_plan *shape; /* NULL: payloads are lines, records or rows as they stand */
} source_decode;

/* STATUS_INVALID with where = a pointer into the connector's definition. */
status_class source_decode_make(const defined_connector *c, const datastore_plan *store, source_decode *out,
                                status *st);
void source_decode_free(source_decode *d); /* zeroed is fine */

/* One for each target of `into`; *out stays NULL for a connector without a format. */
status_class source_decoders_make(const defined_connector *c, const flow_plan *plan, source_decode **out,
                                  status *st);
void source_decoders_free(source_decode *all, const defined_connector *c); /* NULL is fine */
/* Which target a stream goes to; -1 = none is named. */
int source_target(const defined_connector *c, const char *stream);

/* The payloads of a raw batch as one body for `plan`, and those that cannot be rows. */
typedef struct source_body {
    text bytes;
    decode_format format;
    rejected_row *refused; /* in the arena */
    size_t n_refused;
} source_body;
void source_decode_batch(const source_decode *d, const instance_batch *b, int64_t now_us, arena *a,
                         source_body *out);
void source_body_free(source_body *b);
/* What the records of a batch did to the plugin. */
typedef struct source_poison {
    const char *detail, *cause;
    uint16_t attempts;
} source_poison;
/* Records that the plugin could not read (`poison`: that killed it; NULL = they did not), and payloads that
 * are no rows. In the arena. */
const rejected_row *source_refused(const instance_batch *b, const source_body *body,
                                   const source_poison *poison, arena *a, uint32_t *n_out);
#endif
