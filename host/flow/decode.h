/* Decode: the bytes of one body become a columnar batch and a list of rejected rows, in one pass and without
 * a DOM.
 *
 * A decode_plan says what the rows are: a row_plan (columns and their rules, made from the store's JSON
 * Schema), the event time and its window, the format and how input names map to columns. It is immutable and
 * shared by threads. A decoder holds the buffers, is used by one thread at a time, and is kept and used
 * again: once warm it does not allocate.
 *
 * A bad row never takes a good one with it: NDJSON is cut at newlines first; CSV at the ends of records; a
 * JSON array that is broken as text is refused whole (rows can no longer be told apart). Rules that this
 * reader has beside the schema's: RFC 8259 to the letter, UTF-8 checked, lone surrogates refused; a member
 * twice in one object (after unescaping) rejects the row; U+0000 cannot be stored; integers are exact or
 * refused; numbers are the nearest double. The batch has the plan's columns in order, and then `_extra`
 * (COLUMN_JSON, null when empty) if additional properties are kept. Offsets are bytes in the body, lines and
 * columns count from 1, columns are bytes. */
#ifndef PENSTOCK_FLOW_DECODE_H
#define PENSTOCK_FLOW_DECODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/status.h"
#include "flow/line_reader.h"
#include "schema/row_plan.h"

typedef enum decode_format {
    DECODE_PLANNED,  /* of a context: as the plan says; of a plan: JSON */
    DECODE_JSON,     /* an array of objects, or one object */
    DECODE_NDJSON,   /* one object a line; empty lines are passed over */
    DECODE_CSV,      /* RFC 4180 */
    DECODE_LINES,    /* InfluxDB line protocol, see line_reader.h */
    DECODE_COLLECTD, /* collectd's JSON: one row a value */
    DECODE_PUTVAL,   /* collectd's commands, PUTVAL only: one row a value */
} decode_format;
/* "json", "ndjson", "csv", "lp", "collectd-json", "putval" */
bool decode_format_parse(const char *word, decode_format *out);
const char *decode_format_name(decode_format format);

/* How a timestamp column is written; only ISO is a string in JSON. */
typedef enum decode_time {
    DECODE_TIME_ISO,     /* RFC 3339 with offset */
    DECODE_TIME_ISO_UTC, /* the same; without an offset it is UTC */
    DECODE_TIME_UNIX_S,  /* numbers, fractions allowed, cut to microseconds */
    DECODE_TIME_UNIX_MS,
    DECODE_TIME_UNIX_US,
    DECODE_TIME_UNIX_NS,
} decode_time;
bool decode_time_parse(const char *word, decode_time *out); /* "iso", "iso_utc", "unix_s", … */

typedef struct decode_map { /* one column that is not simply read from the member of its name */
    const char *column;
    const char *from;     /* name in the input; NULL = the column's own */
    double scale, offset; /* stored = read × scale + offset; scale 0 = 1; integer and number columns only */
    decode_time time;     /* timestamp columns only, like the next two */
    const char *pattern;  /* local_time.h; instead of `time`; NULL = none */
    const struct zone *zone; /* of texts without an offset; NULL = as `time` says */
} decode_map;

#define DECODE_ANY INT64_MAX /* no bound of the window */
#define DECODE_BODY_MAX (1U << 30)
#define DECODE_DEPTH_MAX 256
#define DECODE_CSV_COLUMNS_MAX 4096

typedef struct decode_limits { /* 0 = the default in brackets */
    size_t body_bytes;         /* [64 MiB] at most DECODE_BODY_MAX */
    size_t row_bytes;          /* [1 MiB] one row as text */
    uint32_t rows;             /* [1,000,000] */
    uint32_t depth;            /* [32] objects and arrays inside one another, the row itself is 1 */
    uint32_t members;          /* [4,096] of one row, at every depth together */
    uint32_t text_bytes;       /* [row_bytes] one string, name or CSV cell */
    uint32_t number_bytes;     /* [1,024] one number as text */
} decode_limits;

typedef struct decode_options {
    decode_format format;
    const char *time_column;    /* event time; NULL = none; a timestamp column, which then must not be null */
    int64_t past_us, future_us; /* window around now; DECODE_ANY */
    const decode_map *map;
    size_t n_map;
    char separator;                 /* CSV; 0 = ',' */
    bool decimal_comma;             /* CSV: "1,5"; then the separator is not ',' */
    const char *const *csv_columns; /* the header, when the file has none */
    size_t n_csv_columns;
    bool keep_unmapped; /* CSV: input columns that the plan does not know are passed over, not additional */
    decode_limits limits;
} decode_options;

typedef struct decode_plan decode_plan;
/* `rows` is borrowed and must outlive the plan. */
decode_plan *decode_plan_create(const row_plan *rows, const decode_options *options, status *st);
void decode_plan_free(decode_plan *p); /* NULL is fine */
/* No rule of it can take long: no patterns, no schema beyond that of the columns. */
bool decode_plan_is_plain(const decode_plan *p);
bool decode_plan_has_extra(const decode_plan *p);

typedef struct decode_reject {
    uint64_t row, line; /* number of the row in the input; line where the problem is */
    uint32_t column;
    const char *code;    /* stable word: row_reason_name, or one of decode's own below */
    const char *pointer; /* into the row; "" = the row as a whole */
    const char *detail;  /* sentence; beyond DECODE_DETAILS_MAX rejects of a body it is the code */
    uint64_t offset;     /* the row's bytes in the body */
    uint32_t length;
} decode_reject;
#define DECODE_DETAILS_MAX 1000
/* Own codes: "json", "csv", "duplicate_key", "time_out_of_window", "too_deep", "too_long",
 * "too_many_members", "unknown_store", "collectd", "putval", and for lines those of line_reader. */

typedef struct decode_result { /* lives until the decoder's next use */
    batch rows;
    const decode_reject *rejects;
    size_t n_rejects;
    uint64_t n_input;          /* rows seen = rows.n_rows + n_rejects */
    int64_t first_us, last_us; /* least and greatest event time of the accepted rows; 0 when there are none */
    size_t header;             /* CSV: bytes of the body before the first row */
} decode_result;

typedef struct decode_context {
    int64_t now_us;           /* for the window */
    int64_t time_shift_us;    /* added to every event time before the window is asked (replays) */
    uint32_t rows;            /* most of this body, if that is less than the plan's limit; 0 = the plan's */
    decode_format format;     /* DECODE_PLANNED = the plan's */
    line_precision precision; /* DECODE_LINES: unit of the times */
    const char *measurement;  /* DECODE_LINES: the only one that is taken; NULL = any */
    bool header_costs_rows;   /* DECODE_CSV: a header that is not taken refuses each row, not the body */
} decode_context;

typedef struct decoder decoder;
decoder *decoder_create(void);
void decoder_free(decoder *d);          /* NULL is fine */
size_t decoder_bytes(const decoder *d); /* memory held */

/* STATUS_INVALID: the body as a whole cannot be read (where = "line:column"); STATUS_LIMIT: too long or too
 * many rows. Otherwise OK, with what was good and what was not. */
status_class decode_body(decoder *d, const decode_plan *p, const decode_context *context, const char *body,
                         size_t len, decode_result *out, status *st);
#endif
