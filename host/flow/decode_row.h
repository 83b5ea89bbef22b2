/* What the readers of the formats share: the plan and the decoder inside, and how one value of a row is
 * converted, checked and put into its column. Private to decode*.c.
 *
 * A row's first fault decides its reject: row_fail remembers it and the reader goes on to the row's end;
 * row_end takes the row or turns the fault into a reject. */
#ifndef PENSTOCK_FLOW_DECODE_ROW_H
#define PENSTOCK_FLOW_DECODE_ROW_H
#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/text.h"
#include "flow/decode.h"
#include "flow/json_reader.h"
#include "flow/line_reader.h"

typedef struct decode_field { /* one column */
    const plan_column *rule;
    const char *name; /* in the input */
    uint32_t name_len;
    const char *pointer; /* "/name" */
    bool scaled;
    bool foretold; /* line protocol may compare the name with what stands there before that is read */
    double scale, offset;
    decode_time time;
    const char *pattern; /* in the arena; NULL = none */
    const struct zone *zone;
} decode_field;

struct decode_plan {
    arena *a;
    const row_plan *rows;
    decode_options options; /* limits filled in; strings in the arena */
    uint32_t n_fields, n_columns;
    decode_field *fields;
    column_type *types; /* n_columns */
    uint32_t *slots;    /* open addressing by input name: field + 1 */
    uint32_t slot_mask;
    uint64_t *required; /* one bit a column */
    uint32_t n_words;
    int32_t time_column, extra; /* -1 = none */
};

typedef struct csv_cell {
    const char *data;
    size_t len;
    bool quoted;
} csv_cell;

struct decoder {
    const decode_plan *plan;
    const char *body, *body_end;
    batch_builder *builder;
    json_reader reader;
    text extra; /* `_extra` of the open row, without the closing brace */
    arena *details;
    decode_reject *rejects;
    size_t n_rejects, cap_rejects;
    uint64_t n_input;
    uint32_t rows_max;
    int64_t oldest_us, newest_us, shift_us, now_us; /* the window */
    int64_t first_us, last_us;
    const char *row_at;  /* first byte of the open row */
    const char *line_at; /* first byte of line number `line`, at or before row_at */
    const char *counted; /* newlines before it are in `line` */
    uint64_t line;
    bool failed;
    const char *code, *pointer, *detail, *at; /* the fault */
    char day[11];                             /* memo: "2026-01-02T" … */
    int64_t day_us;                           /* … is this */
    uint32_t *order; /* the column of the k-th member of the row before, where to look first */
    uint32_t cap_order;
    csv_cell *cells;
    size_t cap_cells;
    int32_t *csv_columns; /* column of each cell; -1 `_extra`, -2 passed over */
    const char **csv_names;
    size_t n_csv_columns, header; /* bytes before the first row */
    bool header_costs_rows;
    const char *header_fault; /* what is wrong with it; NULL = nothing */
    text unquoted;            /* cells with doubled quotes; values as JSON */
    text whole; /* the open row as JSON, for a schema that is not flat: formats that are no JSON */
    line_reader lines;
    line_precision precision;
    const char *measurement;
    struct { /* line protocol: of the row taken last, if all of them were columns: `order` knows which */
        const char *at; /* the first one's comma */
        size_t len;     /* with the blank behind the last one; 0 = unknown */
        uint32_t n;
    } tags;
};

void decoder_prepare(decoder *d, const decode_plan *p, const decode_context *context, const char *body,
                     size_t len);
void decoder_result(decoder *d, decode_result *out);

/* The field of that input name or -1. `hint` is looked at first. */
int32_t decode_plan_find(const decode_plan *p, const char *name, size_t len, uint32_t hint);

void row_begin(decoder *d, const char *at);
/* Keeps the first fault only. `detail` NULL = the code; both must live as long as the result. */
void row_fail(decoder *d, const char *code, const char *pointer, const char *at, const char *detail);
void row_fail_reason(decoder *d, row_reason reason, uint32_t column, const char *at);
/* True while details are still written; then allocate them in d->details. */
bool row_wants_detail(const decoder *d);
/* Required columns and event time; then the row is in the batch or in the rejects. `end` = behind its last
 * byte. */
void row_end(decoder *d, const char *end);
/* line and column of a byte at or after row_at. */
void row_place(decoder *d, const char *at, uint64_t *line_out, uint32_t *column_out);

/* Each converts, checks and stores, or fails the row. */
void row_put_text(decoder *d, uint32_t column, const char *s, size_t len, bool has_nul, const char *at);
void row_put_number(decoder *d, uint32_t column, const number_text *value, const char *at);
void row_put_double(decoder *d, uint32_t column, double value, const char *at);
void row_put_boolean(decoder *d, uint32_t column, bool value, const char *at);
void row_put_null(decoder *d, uint32_t column, const char *at);
/* The schema's rules on a value that jansson must see. */
void row_check_deep(decoder *d, uint32_t column, const char *json, size_t len, const char *at);
/* Does a JSON value of that text fit the kinds the column takes? */
bool row_json_fits(const plan_column *rule, const char *from, size_t len);
/* Text that holds JSON, into a JSON column; blanks around it do not count. */
void row_put_document(decoder *d, uint32_t column, const char *s, size_t len, const char *at);
/* `,"name":` (or `{"name":`) of `_extra`; `name` with its quotes, as JSON. */
void row_extra_name(decoder *d, const char *name, size_t len);

/* A point in time for a timestamp column; the event time is shifted and its window asked. */
void row_put_time(decoder *d, uint32_t column, int64_t us, const char *at);
/* The row's whole schema, on its JSON text. */
void row_check_whole(decoder *d, const char *json, size_t len);

/* The rest of a line behind its measurement, as a row of `d`; `r` is then behind the line. */
void decode_line(decoder *d, line_reader *r);

status_class decode_lines(decoder *d, status *st);
status_class decode_collectd(decoder *d, status *st);
status_class decode_putval(decoder *d, status *st);
/* d->reader has met broken text: the body's status, with its place. */
status_class decode_json_broken(decoder *d, status *st);
status_class decode_json(decoder *d, bool lines, status *st);
status_class decode_csv(decoder *d, status *st);
#endif
