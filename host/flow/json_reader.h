/* A one-pass reader of JSON text (RFC 8259, strict): no tree, no allocation a value. The caller drives it: it
 * looks at *r->p and asks for the string, number, literal or whole value that must stand there.
 *
 * Functions return false on broken text or a limit and leave r->error and r->at; the reader is of no use
 * afterwards until json_reader_text. Not errors but facts of a value, set by json_reader_value: a member
 * twice in one object (r->duplicate), U+0000 in a string (r->has_nul), a number that no database holds
 * (r->huge_number). */
#ifndef PENSTOCK_FLOW_JSON_READER_H
#define PENSTOCK_FLOW_JSON_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/decimal.h"

#define JSON_READER_DEPTH_MAX 256

typedef enum json_error {
    JSON_OK = 0,
    JSON_SYNTAX,
    JSON_UTF8,
    JSON_DEPTH,
    JSON_TEXT_LONG,
    JSON_NUMBER_LONG,
    JSON_MEMBERS,
    JSON_VALUE_LONG, /* does not fit the room given */
} json_error;

typedef struct json_text { /* unescaped; lives until the next string is read */
    const char *data;
    size_t len;
    bool has_nul;
} json_text;

typedef struct json_sink { /* where compact text goes; data NULL = nowhere */
    char *data;
    size_t len, cap;
} json_sink;

typedef struct json_names json_names;

typedef struct json_reader {
    const char *p, *end;
    /* bytes that may be looked at, ≥ end: lets short strings near the end be read in one step */
    const char *limit;
    const char *at; /* of the error */
    json_error error;
    bool duplicate, has_nul, huge_number;
    const char *duplicate_at;
    uint32_t depth_max, members_max, members, objects; /* objects: nested ones seen; the row itself is 0 */
    size_t text_max, number_max;
    char *unescaped;
    size_t unescaped_cap;
    json_names *names;
} json_reader;

/* Limits of 0 are not allowed. */
void json_reader_open(json_reader *r, uint32_t depth_max, uint32_t members_max, size_t text_max,
                      size_t number_max);
void json_reader_limits(json_reader *r, uint32_t depth_max, uint32_t members_max, size_t text_max,
                        size_t number_max);
void json_reader_close(json_reader *r);
size_t json_reader_bytes(const json_reader *r);
/* Starts on a text; forgets the names of the one before. */
void json_reader_text(json_reader *r, const char *data, const char *end, const char *limit);
/* Forgets names and facts, goes on in the same text: a new row of an array. */
void json_reader_row(json_reader *r);
bool json_reader_fail(json_reader *r, json_error error, const char *at); /* false */

static inline void json_reader_space(json_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}
/* Blanks, then this character. */
static inline bool json_reader_take(json_reader *r, char c)
{
    if (r->p < r->end && *r->p == c) {
        r->p++;
        return true;
    }
    json_reader_space(r);
    if (r->p < r->end && *r->p == c) {
        r->p++;
        return true;
    }
    return json_reader_fail(r, JSON_SYNTAX, r->p);
}
/* At the opening quote. */
bool json_reader_string(json_reader *r, json_text *out);
/* At `-` or a digit. */
bool json_reader_number(json_reader *r, number_text *out);
/* "true", "false" or "null". */
bool json_reader_literal(json_reader *r, const char *word, size_t len);
/* A whole value of any kind; `depth` is how deep it lies already. Goes to the sink without blanks. */
bool json_reader_value(json_reader *r, uint32_t depth, json_sink *sink);
/* Remembers a member of object number `object`; true if it was there already. */
bool json_reader_seen(json_reader *r, uint32_t object, const char *name, size_t len);
/* A sentence for r->error. */
const char *json_error_text(json_error error);
#endif
