#include "cutter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

bool cutter_open(cutter *c, size_t limit)
{
    *c = (cutter){.limit = limit, .builder = pst_builder_create()};
    if (!c->builder)
        return false;
    c->payload_column = pst_builder_column(c->builder, "_payload", PST_BINARY);
    c->meta_column = pst_builder_column(c->builder, "_meta", PST_TEXT);
    return c->meta_column >= 0;
}

void cutter_close(cutter *c)
{
    pst_builder_free(c->builder);
    free(c->buffer);
    free(c->meta);
    *c = (cutter){0};
}

void cutter_begin(cutter *c, cutter_kind kind, bool header, const char *topic)
{
    c->kind = kind;
    c->topic = topic;
    c->header = header && kind == CUTTER_CSV;
    c->offset = 0;
    c->have = c->used = c->meta_len = 0;
    free(c->meta);
    c->meta = NULL;
    c->skipping = c->spoilt = false;
}

/* ---- Bytes ---- */

char *cutter_room(cutter *c, size_t *len_out)
{
    if (c->used)
        memmove(c->buffer, c->buffer + c->used, c->have - c->used);
    c->have -= c->used;
    c->used = 0;
    if (c->have + CUTTER_PIECE_BYTES > c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 2 * (size_t)CUTTER_PIECE_BYTES;
        char *longer = realloc(c->buffer, cap);
        if (!longer)
            return NULL;
        c->buffer = longer;
        c->cap = cap;
    }
    *len_out = CUTTER_PIECE_BYTES;
    return c->buffer + c->have;
}

void cutter_came(cutter *c, size_t len)
{
    c->have += len;
}

static void advance(cutter *c, size_t bytes)
{
    c->used += bytes;
    c->offset += bytes;
}

void cutter_pass(cutter *c, uint64_t to)
{
    uint64_t left = to > c->offset ? to - c->offset : 0, here = c->have - c->used;
    advance(c, (size_t)(left < here ? left : here));
}

void cutter_jump(cutter *c, uint64_t to)
{
    c->have = c->used = 0;
    c->offset = to;
    c->skipping = false;
}

uint64_t cutter_position(const cutter *c)
{
    return c->skipping ? c->long_from : c->offset;
}

/* ---- Records ---- */

void cutter_reject(cutter *c, const void *data, size_t len, const char *reason)
{
    char where[64];
    snprintf(where, sizeof where, "byte %llu", (unsigned long long)cutter_position(c));
    pst_builder_reject(c->builder, data, len < CUTTER_REJECT_BYTES ? len : CUTTER_REJECT_BYTES, where,
                       reason);
}

/* Drops the rest of a record that is too long; true when its end was found. */
static bool skip_long(cutter *c, bool last)
{
    const char *data = c->buffer + c->used;
    size_t here = c->have - c->used;
    const char *end = c->kind == CUTTER_WHOLE || !here ? NULL : memchr(data, '\n', here);
    char reason[64];
    if (!end && !last) {
        advance(c, here);
        return false;
    }
    snprintf(reason, sizeof reason, "longer than %zu bytes", c->limit);
    cutter_reject(c, c->long_start, c->long_len, reason);
    advance(c, end ? (size_t)(end - data) + 1 : here);
    c->skipping = false;
    return true;
}

static void skip_begin(cutter *c)
{
    size_t here = c->have - c->used;
    c->skipping = true;
    c->long_from = c->offset;
    c->long_len = here < CUTTER_REJECT_BYTES ? here : CUTTER_REJECT_BYTES;
    memcpy(c->long_start, c->buffer + c->used, c->long_len);
}

/* Bytes of the UTF-8 character at `at`, of which there are at most `left`; 0: it is none. */
static size_t character(const unsigned char *at, size_t left)
{
    size_t n = at[0] < 0x80   ? 1
               : at[0] < 0xc2 ? 0
               : at[0] < 0xe0 ? 2
               : at[0] < 0xf0 ? 3
               : at[0] < 0xf5 ? 4
                              : 0;
    if (n > left || !at[0])
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool beyond = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || beyond ? 0 : n;
}

static bool is_text(const char *data, size_t len)
{
    for (size_t at = 0, n; at < len; at += n)
        if (!(n = character((const unsigned char *)data + at, len - at)))
            return false;
    return true;
}

static void take_header(cutter *c, const char *data, size_t len)
{
    c->spoilt = !is_text(data, len);
    if (c->spoilt) {
        cutter_reject(c, data, len,
                      "the first record is no header, since it is not UTF-8: the rest is left out");
        return;
    }
    c->meta = malloc(len);
    c->meta_len = c->meta ? len : 0;
    if (c->meta)
        memcpy(c->meta, data, len);
    c->header = false;
}

static void take_record(cutter *c, const char *data, size_t len)
{
    if (c->offset == 0 && len >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) { /* byte order mark */
        data += 3;
        len -= 3;
    }
    if (!len)
        return; /* an empty line */
    if (c->header) {
        take_header(c, data, len);
        return;
    }
    if (c->aside) {
        cutter_reject(c, data, len, "passed over undecoded");
        c->n_aside++;
        return;
    }
    pst_builder_set_bytes(c->builder, c->payload_column, data, len);
    if (c->meta)
        pst_builder_set_bytes(c->builder, c->meta_column, c->meta, c->meta_len);
    else if (c->topic)
        pst_builder_set_text(c->builder, c->meta_column, c->topic);
    pst_builder_row(c->builder);
}

static record_cut find(const cutter *c, bool last, size_t *len, size_t *taken)
{
    size_t here = c->have - c->used;
    if (c->kind != CUTTER_WHOLE)
        return record_find(c->buffer + c->used, here, c->kind == CUTTER_CSV, last, c->limit, len, taken);
    *len = *taken = here;
    return here > c->limit ? RECORD_LONG : last ? RECORD_WHOLE : RECORD_MORE;
}

bool cutter_cut(cutter *c, bool last)
{
    size_t len = 0, taken = 0;
    if (c->skipping)
        return skip_long(c, last);
    if (c->spoilt)
        advance(c, c->have - c->used);
    if (c->have == c->used)
        return false;
    const char *data = c->buffer + c->used;
    switch (find(c, last, &len, &taken)) {
    case RECORD_WHOLE:
        take_record(c, data, len);
        break;
    case RECORD_UNCLOSED:
        cutter_reject(c, data, len, "a quote is never closed");
        break;
    case RECORD_LONG:
        skip_begin(c);
        return true;
    case RECORD_MORE:
        return false;
    }
    advance(c, taken);
    return true;
}

/* ---- Batches ---- */

uint32_t cutter_taken(const cutter *c)
{
    return pst_builder_rows(c->builder) + c->n_aside;
}

void cutter_clear(cutter *c)
{
    pst_builder_clear(c->builder);
    c->n_aside = 0;
}

pst_status cutter_finish(cutter *c, const char *stream, pst_bytes cursor, pst_batch *out, pst_error *error)
{
    c->n_aside = 0;
    return pst_builder_finish(c->builder, stream, cursor, PST_BATCH_RAW, out, error);
}
