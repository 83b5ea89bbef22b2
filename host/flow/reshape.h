/* Reshape: a JSON payload of any form becomes lines of NDJSON, one a row, whose members are the columns of a
 * store; decode then reads them like any others. What a connector's `decode` says (path, map, set, $topic,
 * $meta) is a reshape_plan; docs/decode.md is its manual.
 *
 * Values are copied byte by byte, so numbers keep their digits. What cannot be a row at all (broken text, a
 * path that leads nowhere) is reported payload by payload. A plan is immutable and shared by threads, a
 * reshaper has the buffers and is used by one thread at a time. */
#ifndef PENSTOCK_FLOW_RESHAPE_H
#define PENSTOCK_FLOW_RESHAPE_H
#include <jansson.h>

#include "base/status.h"
#include "base/text.h"
#include "schema/row_plan.h"

#define RESHAPE_FACT '\x1f'     /* before each fact: name = value */
#define RESHAPE_TOPIC_MAX 65535 /* bytes of what a connector says beside a payload */
#define RESHAPE_PAYLOAD_MAX (64U << 20)

typedef struct reshape_plan reshape_plan;
/* `decode` is the connector's object, `rows` the store's plan; neither is kept. NULL with STATUS_INVALID and
 * where = a pointer into the connector's definition. */
reshape_plan *reshape_plan_create(const json_t *decode, const row_plan *rows, status *st);
void reshape_plan_free(reshape_plan *p); /* NULL is fine */
/* Does it change anything of a JSON object that stands in its line? */
bool reshape_plan_is_plain(const reshape_plan *p);

typedef struct reshaper reshaper;
reshaper *reshaper_create(void);
void reshaper_free(reshaper *r); /* NULL is fine */

typedef struct reshape_payload {
    const char *data;
    size_t len;
    const char *topic; /* not NUL-terminated; NULL = nothing is said; facts with names may stand behind it */
    size_t topic_len;
    int64_t received_us;
} reshape_payload;

typedef struct reshape_fault { /* of one payload; lives until the reshaper's next use */
    const char *code;          /* "json", "path", "too_long", "duplicate_key" */
    const char *pointer;       /* where */
    const char *detail;
} reshape_fault;

/* Adds the payload's rows to `out`. False: none of it was added, and why. */
bool reshape_payload_rows(reshaper *r, const reshape_plan *p, const reshape_payload *from, text *out,
                          reshape_fault *fault);
#endif
