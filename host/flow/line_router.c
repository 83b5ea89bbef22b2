/* One decoder a store, taken in the order of first use; the line counter travels with the line, so no decoder
 * looks at bytes of another's lines. */
#include "flow/line_router.h"

#include <stdlib.h>
#include <string.h>

#include "flow/decode_row.h"
#include "flow/line_private.h"

enum { DECODERS_KEPT = 16, ROWS_MAX = 1000000 }; /* the latter as decode_limits has it */

typedef struct slot {
    decoder *decoder;
    const datastore_plan *store;
    size_t key_len;
} slot;

struct line_router {
    line_reader reader;
    slot *slots;
    uint32_t n, cap;
    line_part *parts;
    decode_reject *strays;
    size_t n_strays, cap_strays;
    uint64_t rows;
    const char *body, *line_at, *counted; /* newlines before `counted` are in `line` */
    uint64_t line;
    size_t len;
    const decode_context *context;
};

line_router *line_router_create(void)
{
    return memory_zero(1, sizeof(line_router));
}

static void shrink(line_router *r, uint32_t keep)
{
    for (uint32_t i = keep; i < r->cap; i++) {
        decoder_free(r->slots[i].decoder);
        r->slots[i].decoder = NULL;
    }
}

void line_router_free(line_router *r)
{
    if (!r)
        return;
    shrink(r, 0);
    line_reader_close(&r->reader);
    free(r->slots);
    free(r->parts);
    free(r->strays);
    free(r);
}

/* ---- lines without a store ---- */

static void count_to(line_router *r, const char *at)
{
    const char *newline;
    while (r->counted < at && (newline = memchr(r->counted, '\n', (size_t)(at - r->counted)))) {
        r->line++;
        r->counted = r->line_at = newline + 1;
    }
    r->counted = at > r->counted ? at : r->counted;
}

static void add_stray(line_router *r, const char *code, const char *at, const char *detail)
{
    if (r->n_strays == r->cap_strays) {
        r->cap_strays = r->cap_strays ? r->cap_strays * 2 : 64;
        r->strays = memory_grow(r->strays, r->cap_strays * sizeof *r->strays);
    }
    line_reader_skip(&r->reader);
    count_to(r, r->reader.line); /* a measurement has no newline: the fault is on this line */
    r->strays[r->n_strays++] = (decode_reject){.row = r->rows,
                                               .line = r->line,
                                               .column = (uint32_t)(at - r->line_at) + 1,
                                               .code = code,
                                               .pointer = "",
                                               .detail = detail,
                                               .offset = (uint64_t)(r->reader.line - r->body),
                                               .length = (uint32_t)(r->reader.line_end - r->reader.line)};
}

/* ---- lines with one ---- */

static bool names(const slot *s, const line_text *name)
{
    return s->key_len == name->len && memcmp(s->store->table.key, name->data, name->len) == 0;
}

static slot *add_slot(line_router *r, const datastore_plan *store)
{
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : DECODERS_KEPT;
        r->slots = memory_grow(r->slots, cap * sizeof *r->slots);
        memset(r->slots + r->cap, 0, (cap - r->cap) * sizeof *r->slots);
        r->parts = memory_grow(r->parts, cap * sizeof *r->parts);
        r->cap = cap;
    }
    slot *s = &r->slots[r->n++];
    s->store = store;
    s->key_len = strlen(store->table.key);
    if (!s->decoder)
        s->decoder = decoder_create();
    decoder_prepare(s->decoder, store->decode, r->context, r->body, r->len);
    return s;
}

/* The slot of a measurement; NULL: there is no such store, or no more may be had (*full). Bodies go by one
 * store for a while, or by the same few in turn. */
static slot *find_slot(line_router *r, slot *last, const line_text *name, line_router_find find, void *arg,
                       uint32_t stores_max, bool *full)
{
    char key[NAME_KEY_MAX + 1];
    uint32_t first = last ? (uint32_t)(last - r->slots) : 0;
    *full = false;
    for (uint32_t i = 0; i < r->n; i++) {
        slot *s = &r->slots[(first + i) % r->n];
        if (names(s, name))
            return s;
    }
    if (name->len == 0 || name->len > NAME_KEY_MAX || memchr(name->data, '\0', name->len))
        return NULL;
    memcpy(key, name->data, name->len);
    key[name->len] = '\0';
    const datastore_plan *store = find(arg, key);
    *full = store && r->n == stores_max;
    return store && !*full ? add_slot(r, store) : NULL;
}

static void read_line(line_router *r, slot *s)
{
    decoder *d = s->decoder;
    d->n_input = r->rows - 1;
    d->line = r->line;
    d->line_at = r->line_at;
    d->counted = r->counted;
    decode_line(d, &r->reader);
    r->line = d->line;
    r->line_at = d->line_at;
    r->counted = d->counted;
}

static void begin(line_router *r, const decode_context *context, const char *body, size_t len)
{
    static const line_limits limits = LINE_LIMITS_DEFAULT;
    r->body = r->line_at = r->counted = body;
    r->len = len;
    r->line = 1;
    r->n = 0;
    r->n_strays = 0;
    r->rows = 0;
    r->context = context;
    line_reader_text(&r->reader, body, len, &limits);
}

static void finish(line_router *r, line_routed *out)
{
    for (uint32_t i = 0; i < r->n; i++) {
        r->parts[i].store = r->slots[i].store;
        decoder_result(r->slots[i].decoder, &r->parts[i].result);
    }
    *out = (line_routed){r->parts, r->n, r->strays, r->n_strays};
}

status_class line_router_body(line_router *r, line_router_find find, void *arg, uint32_t stores_max,
                              const decode_context *context, const char *body, size_t len, line_routed *out,
                              status *st)
{
    uint64_t rows_max = context->rows && context->rows < ROWS_MAX ? context->rows : ROWS_MAX;
    slot *s = NULL;
    line_text name;
    bool full = false;
    if (len > DECODE_BODY_MAX)
        return status_set(st, STATUS_LIMIT, "body: more than %u bytes", DECODE_BODY_MAX);
    shrink(r, r->cap < DECODERS_KEPT ? r->cap : DECODERS_KEPT);
    begin(r, context, body, len);
    while (line_reader_next(&r->reader)) {
        if (r->rows++ == rows_max)
            return status_set(st, STATUS_LIMIT, "body: more than %llu rows", (unsigned long long)rows_max);
        bool same = s && line_takes_measurement(&r->reader, s->store->table.key, s->key_len);
        bool sound = same || line_reader_measurement(&r->reader, &name);
        if (sound && !same)
            s = find_slot(r, s, &name, find, arg, stores_max, &full);
        if (!sound)
            add_stray(r, r->reader.code, r->reader.at, r->reader.detail);
        else if (s)
            read_line(r, s);
        else if (full)
            return status_set(st, STATUS_LIMIT, "body: rows for more than %u stores", stores_max);
        else
            add_stray(r, "unknown_store", r->reader.line,
                      "no store that this key may write to has this name");
    }
    finish(r, out);
    return STATUS_OK;
}
