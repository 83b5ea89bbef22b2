/* A frame: a flat run of tagged items, each a header of 16 bytes (tag, aux, length) and its bytes, padded
 * to 8. That is all that travels: arguments, columns, answers. A writer fills an arena (which grows) or a
 * fixed buffer; a reader checks every length against what is left and stops at the first item that does not
 * fit. */
#ifndef PENSTOCK_WIRE_FRAME_H
#define PENSTOCK_WIRE_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/arena.h"

typedef enum frame_tag {
    FRAME_END = 0,
    /* texts: with their NUL; absent = NULL. CURSOR, ARTIFACT, BODY, VALUE, REJECT: plain bytes */
    FRAME_SUBJECT = 1,
    FRAME_WORK_ID,
    FRAME_TRACE,
    FRAME_CONFIG,
    FRAME_NAME,
    FRAME_WORKSPACE,
    FRAME_CURSOR,
    FRAME_DEFINITION,
    FRAME_PARAMETERS,
    FRAME_ARTIFACT,
    FRAME_JSON, /* an answer that is a document */
    FRAME_TITLE,
    FRAME_TEXT,
    FRAME_HTML,
    FRAME_DELIVERY_ID,
    FRAME_UPDATE_OF,
    FRAME_EXTERNAL_ID, /* aux: state */
    FRAME_METHOD,
    FRAME_PATH,
    FRAME_QUERY,
    FRAME_BODY,
    FRAME_CONTENT_TYPE,
    FRAME_CONTENT_ID,
    FRAME_KEY, /* followed by FRAME_VALUE: headers, labels, log fields */
    FRAME_VALUE,
    FRAME_STREAM,
    FRAME_REJECT, /* the record; followed by FRAME_WHERE and FRAME_REASON */
    FRAME_WHERE,
    FRAME_REASON,
    FRAME_ATTACHMENT, /* the name; followed by CONTENT_TYPE, CONTENT_ID (maybe), BODY */
    /* numbers: aux or the payload */
    FRAME_SEVERITY = 64, /* aux */
    FRAME_AT,            /* int64 */
    FRAME_NUMBER,        /* aux: http status, context rows, source flags, log level … */
    FRAME_WAIT,          /* aux: milliseconds until the next read makes sense */
    FRAME_ERROR,         /* frame_error */
    FRAME_METRIC,        /* aux: index; frame_metric */
    /* batches */
    FRAME_BATCH = 128, /* aux: PST_BATCH_…; frame_batch, then the name */
    FRAME_COLUMN,      /* aux: pst_type; the name. Followed by VALID, VALUES, and for text DATA */
    FRAME_VALID,       /* empty = no nulls */
    FRAME_VALUES,      /* fixed-width values, boolean bitmap, or n+1 offsets */
    FRAME_DATA,
    /* services: wire/service.h */
    FRAME_SERVICE = 192, /* aux: the function; the service's name */
    FRAME_FILE,          /* aux: PST_FILE_…; service_file, then the name */
} frame_tag;

typedef struct frame_batch {
    uint32_t n_rows, n_columns;
} frame_batch;
typedef struct frame_error {
    int32_t vendor_code;
    uint32_t retry_after_ms;
    char where[52];
    char message[448];
    uint32_t reserved;
} frame_error;
typedef struct frame_metric {
    double value;
    uint64_t count;
} frame_metric;

typedef struct frame_writer {
    wire_arena *arena; /* NULL: a fixed buffer */
    uint8_t *data;
    size_t len, cap;
    bool failed; /* did not fit: what was written is not to be sent */
} frame_writer;

frame_writer frame_writer_arena(wire_arena *a);
frame_writer frame_writer_buffer(void *buffer, size_t cap);
void frame_put(frame_writer *w, frame_tag tag, uint32_t aux, const void *data, size_t len);
/* Copies what may be long, in pieces: for a long run the C library turns to `rep movsb`, which is up to ten
 * times slower on some processors when the two addresses lie alike in their pages. */
void frame_copy(void *to, const void *from, size_t len);
/* The text with its NUL; NULL writes nothing. */
void frame_put_text(frame_writer *w, frame_tag tag, const char *text);
/* Room to be filled in; valid until the next call. NULL after a failure. */
void *frame_room(frame_writer *w, frame_tag tag, uint32_t aux, size_t len);

typedef struct frame_item {
    uint32_t tag, aux;
    const void *data; /* 8-byte aligned */
    size_t len;
} frame_item;
typedef struct frame_reader {
    const uint8_t *data;
    size_t len, at;
    bool broken;
} frame_reader;

frame_reader frame_reader_make(const void *data, size_t len);
/* False at the end, and when the frame is broken. */
bool frame_next(frame_reader *r, frame_item *out);
/* Looks at the next item without taking it. */
bool frame_peek(const frame_reader *r, frame_item *out);
/* The item's text; NULL if it does not end with a NUL. */
const char *frame_item_text(const frame_item *item);
/* Takes the next item if it has this tag. */
bool frame_take(frame_reader *r, frame_tag tag, frame_item *out);
#endif
