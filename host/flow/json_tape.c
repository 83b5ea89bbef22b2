/* The list is filled front to back; a container's `next` is known when it closes. Open containers are chained
 * through that field meanwhile, so depth costs no stack. */
#include "flow/json_tape.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define TEXT_BYTES_MAX (2U << 30)
enum { DEPTH_MAX = 64, NUMBER_MAX = 1024 };

typedef struct filling {
    json_tape *t;
    uint32_t open; /* the innermost container; JSON_TAPE_NONE = none */
    uint32_t depth;
} filling;

void json_tape_open(json_tape *t)
{
    *t = (json_tape){0};
    json_reader_open(&t->reader, DEPTH_MAX, 1, TEXT_BYTES_MAX, NUMBER_MAX);
}

void json_tape_close(json_tape *t)
{
    json_reader_close(&t->reader);
    free(t->nodes);
    *t = (json_tape){0};
}

/* NULL: too many. */
static json_node *add_node(json_tape *t, json_kind kind)
{
    if (t->n == JSON_TAPE_NODES_MAX) {
        json_reader_fail(&t->reader, JSON_MEMBERS, t->reader.p);
        return NULL;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 256;
        t->nodes = memory_grow(t->nodes, t->cap * sizeof *t->nodes);
    }
    json_node *n = &t->nodes[t->n++];
    *n = (json_node){.kind = kind, .at = (uint32_t)(t->reader.p - t->text), .next = t->n};
    return n;
}

static bool read_text(json_tape *t)
{
    json_reader *r = &t->reader;
    const char *from = r->p;
    json_text says;
    json_node *n = add_node(t, JSON_KIND_TEXT);
    if (!n || !json_reader_string(r, &says))
        return false;
    n->length = (uint32_t)(r->p - from);
    n->escaped = says.data != from + 1;
    return true;
}

static bool read_scalar(json_tape *t)
{
    json_reader *r = &t->reader;
    const char *from = r->p;
    number_text number;
    char c = *from;
    json_kind kind = c == 'n' ? JSON_KIND_NULL : c == 't' || c == 'f' ? JSON_KIND_BOOLEAN : JSON_KIND_NUMBER;
    json_node *n = add_node(t, kind);
    bool ok = n && (kind == JSON_KIND_NUMBER ? json_reader_number(r, &number)
                    : c == 'n'               ? json_reader_literal(r, "null", 4)
                    : c == 't'               ? json_reader_literal(r, "true", 4)
                                             : json_reader_literal(r, "false", 5));
    if (ok)
        n->length = (uint32_t)(r->p - from);
    return ok;
}

/* ---- containers ---- */

static bool is_object(const filling *f)
{
    return f->t->nodes[f->open].kind == JSON_KIND_OBJECT;
}

static bool open_container(filling *f, bool object)
{
    json_tape *t = f->t;
    if (f->depth == DEPTH_MAX)
        return json_reader_fail(&t->reader, JSON_DEPTH, t->reader.p);
    json_node *n = add_node(t, object ? JSON_KIND_OBJECT : JSON_KIND_ARRAY);
    if (!n)
        return false;
    n->next = f->open; /* until it is closed */
    f->open = t->n - 1;
    f->depth++;
    t->reader.p++;
    return true;
}

static void close_container(filling *f)
{
    json_node *n = &f->t->nodes[f->open];
    f->open = n->next;
    f->depth--;
    f->t->reader.p++;
    n->next = f->t->n;
    n->length = (uint32_t)(f->t->reader.p - f->t->text) - n->at;
}

static bool member_name(json_tape *t)
{
    json_reader *r = &t->reader;
    json_reader_space(r);
    if (r->p >= r->end || *r->p != '"')
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    return read_text(t) && json_reader_take(r, ':');
}

/* After a complete value: commas and closing brackets, up to where the next value must stand, or the end. */
static bool after_value(filling *f)
{
    json_reader *r = &f->t->reader;
    while (f->open != JSON_TAPE_NONE) {
        json_reader_space(r);
        char close = is_object(f) ? '}' : ']';
        if (r->p >= r->end || (*r->p != ',' && *r->p != close))
            return json_reader_fail(r, JSON_SYNTAX, r->p);
        if (*r->p == ',') {
            r->p++;
            return !is_object(f) || member_name(f->t);
        }
        close_container(f);
    }
    return true;
}

static bool next_value(filling *f)
{
    json_reader *r = &f->t->reader;
    json_reader_space(r);
    if (r->p >= r->end)
        return json_reader_fail(r, JSON_SYNTAX, r->p);
    char c = *r->p;
    if (c != '{' && c != '[')
        return (c == '"' ? read_text(f->t) : read_scalar(f->t)) && after_value(f);
    if (!open_container(f, c == '{'))
        return false;
    json_reader_space(r);
    if (r->p < r->end && *r->p == (c == '{' ? '}' : ']')) {
        close_container(f);
        return after_value(f);
    }
    return c == '[' || member_name(f->t);
}

status_class json_tape_read(json_tape *t, const char *text, size_t len, status *st)
{
    json_reader *r = &t->reader;
    filling f = {.t = t, .open = JSON_TAPE_NONE};
    char where[32];
    bool ok = len < TEXT_BYTES_MAX;
    t->text = text;
    t->n = 0;
    if (!ok)
        return status_set(st, STATUS_LIMIT, "JSON: longer than 2 GiB");
    json_reader_text(r, text, text + len, text + len);
    do
        ok = next_value(&f);
    while (ok && f.open != JSON_TAPE_NONE);
    json_reader_space(r);
    if (ok && r->p == r->end)
        return STATUS_OK;
    if (ok)
        json_reader_fail(r, JSON_SYNTAX, r->p);
    t->n = 0;
    bool limit = r->error != JSON_SYNTAX && r->error != JSON_UTF8;
    snprintf(where, sizeof where, "byte %zu", (size_t)(r->at - text) + 1);
    return status_at(st, limit ? STATUS_LIMIT : STATUS_INVALID, where, "%s", json_error_text(r->error));
}

/* ---- looking at it ---- */

json_text json_tape_says(json_tape *t, uint32_t node)
{
    const json_node *n = &t->nodes[node];
    json_text says = {.data = t->text + n->at + 1, .len = n->length - 2};
    assert(n->kind == JSON_KIND_TEXT);
    if (!n->escaped)
        return says;
    json_reader_text(&t->reader, t->text + n->at, t->text + n->at + n->length, t->text + n->at + n->length);
    bool read = json_reader_string(&t->reader, &says);
    assert(read);
    return says;
}

uint32_t json_tape_first(const json_tape *t, uint32_t container)
{
    const json_node *c = &t->nodes[container];
    if (c->kind < JSON_KIND_ARRAY || c->next == container + 1)
        return JSON_TAPE_NONE;
    return container + (c->kind == JSON_KIND_OBJECT ? 2 : 1);
}

uint32_t json_tape_after(const json_tape *t, uint32_t container, uint32_t child)
{
    const json_node *c = &t->nodes[container];
    uint32_t next = t->nodes[child].next;
    if (next >= c->next)
        return JSON_TAPE_NONE;
    return next + (c->kind == JSON_KIND_OBJECT);
}

uint32_t json_tape_member(json_tape *t, uint32_t object, const char *name, size_t len, bool *twice)
{
    uint32_t found = JSON_TAPE_NONE;
    *twice = false;
    if (t->nodes[object].kind != JSON_KIND_OBJECT)
        return JSON_TAPE_NONE;
    for (uint32_t v = json_tape_first(t, object); v != JSON_TAPE_NONE; v = json_tape_after(t, object, v)) {
        const json_node *n = &t->nodes[json_tape_name(v)];
        if (!n->escaped && (n->length != len + 2 || memcmp(t->text + n->at + 1, name, len) != 0))
            continue;
        json_text says = json_tape_says(t, json_tape_name(v));
        if (says.len != len || memcmp(says.data, name, len) != 0)
            continue;
        *twice = found != JSON_TAPE_NONE;
        if (*twice)
            return found;
        found = v;
    }
    return found;
}
