/* A one-pass reader of InfluxDB line protocol: `measurement,tag=value field=value,field=value time`, one
 * point a line, strict, without an allocation a line. The caller drives it: next, measurement, tags until
 * there are no more, fields likewise, time.
 *
 * What it takes: names escape `\,` and `\ `, keys and tag values also `\=`; strings escape `\"` and `\\`, and
 * a newline inside one belongs to it; every other backslash is a character. Blanks around the parts are
 * passed over, behind a comma they are an error; a CR before the LF is dropped. Values: floats (no NaN,
 * nothing infinite), integers with `i`, unsigned ones with `u`, booleans, strings in quotes. NUL and text
 * that is not UTF-8 cost their line.
 *
 * A fault costs its own line: line_reader_skip goes behind it. A quote that is never closed costs only the
 * line it opens on. */
#ifndef PENSTOCK_FLOW_LINE_READER_H
#define PENSTOCK_FLOW_LINE_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "flow/decimal.h"

typedef enum line_precision { LINE_NS = 0, LINE_US, LINE_MS, LINE_S } line_precision;
bool line_precision_parse(const char *word, line_precision *out); /* "ns", "us", "ms", "s" */

typedef struct line_text { /* unescaped; lives until the next part is read */
    const char *data;
    size_t len;
} line_text;

/* The last one is never read from line protocol. */
typedef enum line_kind { LINE_FLOAT, LINE_INT, LINE_UINT, LINE_BOOL, LINE_STRING, LINE_NULL } line_kind;
typedef struct line_value {
    line_kind kind;
    bool truth;
    number_text number; /* FLOAT, INT (fits int64), UINT (fits uint64); text in JSON's grammar */
    line_text string;
    const char *at; /* first byte in the input */
} line_value;

typedef enum line_step { LINE_GOT, LINE_NONE, LINE_BAD } line_step;

typedef struct line_limits { /* none may be 0 */
    size_t line_bytes, text_bytes, number_bytes;
    uint32_t parts; /* tags and fields of one line together */
} line_limits;

/* Those of a decoder where a plan says nothing. */
#define LINE_LIMITS_DEFAULT            \
    {                                  \
        1U << 20, 1U << 20, 1024, 4096 \
    }

typedef struct line_reader {
    const char *p, *end;
    const char *line;     /* first byte of the open line */
    const char *line_end; /* behind its last byte; set when it was read to its end or skipped */
    const char *part_at;  /* first byte of the tag, field or time read last */
    const char *at;       /* of the fault */
    const char *code, *detail;
    bool sound;     /* the whole input is UTF-8 without NUL: lines need not be looked at */
    bool in_fields; /* where skipping goes on */
    uint32_t parts;
    line_limits limits;
    text key, value, number; /* what had to be rewritten */
} line_reader;

/* Zero-initialise. */
void line_reader_text(line_reader *r, const char *data, size_t len, const line_limits *limits);
void line_reader_close(line_reader *r);
size_t line_reader_bytes(const line_reader *r);

/* To the first byte of the next line that is neither blank nor a comment; false = there is none. */
bool line_reader_next(line_reader *r);
/* LINE_BAD leaves r->code, r->at and r->detail; then skip. */
bool line_reader_measurement(line_reader *r, line_text *out);
line_step line_reader_tag(line_reader *r, line_text *key, line_text *value);
line_step line_reader_field(line_reader *r, line_text *key, line_value *value);
/* The time in nanoseconds, or none; behind it the line has ended and is checked as a whole. */
line_step line_reader_time(line_reader *r, line_precision precision, int64_t *ns_out);
/* Behind the line that has a fault. */
void line_reader_skip(line_reader *r);
#endif
