/* A JSON text as a flat list of its values, in the order of the text: what each is, where its bytes are, and
 * where the value behind it begins. Made in one pass by json_reader, with its strictness; no allocation a
 * value. A container's items (and an object's names) follow it directly.
 *
 * The text is borrowed and must outlive the tape's use. One thread at a time; kept and used again. */
#ifndef PENSTOCK_FLOW_JSON_TAPE_H
#define PENSTOCK_FLOW_JSON_TAPE_H
#include "base/status.h"
#include "base/text.h"
#include "flow/json_reader.h"

#define JSON_TAPE_NONE UINT32_MAX
#define JSON_TAPE_NODES_MAX (1U << 23) /* values and names of one text */

typedef enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOLEAN,
    JSON_KIND_NUMBER,
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
} json_kind;

typedef struct json_node {
    json_kind kind;
    bool escaped;    /* a text with escapes: its bytes are not what it says */
    uint32_t at;     /* first byte in the text; of a text the quote */
    uint32_t length; /* with brackets and quotes */
    uint32_t next;   /* the node behind this value and all in it */
} json_node;

typedef struct json_tape {
    json_reader reader;
    const char *text;
    json_node *nodes; /* 0 is the value itself */
    uint32_t n, cap;
} json_tape;

void json_tape_open(json_tape *t);
void json_tape_close(json_tape *t);
/* STATUS_INVALID or STATUS_LIMIT, where = byte. At most 2 GiB. */
status_class json_tape_read(json_tape *t, const char *text, size_t len, status *st);
/* The value of an object's member, or JSON_TAPE_NONE; *twice: it is there again. */
uint32_t json_tape_member(json_tape *t, uint32_t object, const char *name, size_t len, bool *twice);
/* The first and the following child of a container; JSON_TAPE_NONE at the end. Of an object: the values. */
uint32_t json_tape_first(const json_tape *t, uint32_t container);
uint32_t json_tape_after(const json_tape *t, uint32_t container, uint32_t child);
/* The name node of a member's value. */
static inline uint32_t json_tape_name(uint32_t value)
{
    return value - 1;
}
/* What a text node says; lives until the next call. */
json_text json_tape_says(json_tape *t, uint32_t node);
#endif
