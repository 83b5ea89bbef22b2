/* COPY BINARY from columns. Rows are written one after the other (that is the wire's order) from per-column
 * cursors; room is reserved once for the whole batch, so the inner loop has no check and no call but memcpy.
 */
#include "store/copy.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define PG_EPOCH_US 946684800000000LL
#define PG_EPOCH_DAYS 10957
#define FIELDS_MAX 1600

static const char header[19] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";

static uint32_t chosen(const copy_rows *r, uint32_t batch_rows)
{
    return r->order ? r->n_rows : batch_rows;
}

static inline uint32_t row_at(const copy_rows *r, uint32_t i)
{
    return r->order ? r->order[i] : i;
}

static inline char *put16(char *p, uint16_t n)
{
    n = htobe16(n);
    memcpy(p, &n, sizeof n);
    return p + sizeof n;
}

static inline char *put32(char *p, uint32_t n)
{
    n = htobe32(n);
    memcpy(p, &n, sizeof n);
    return p + sizeof n;
}

static inline char *put64(char *p, uint64_t n)
{
    n = htobe64(n);
    memcpy(p, &n, sizeof n);
    return p + sizeof n;
}

static inline char *put_int64(char *p, int64_t n)
{
    return put64(put32(p, 8), (uint64_t)n);
}

/* One field: length and value. */
static inline char *put_field(char *p, const column *c, uint32_t row)
{
    if (c->valid && !bitmap_get(c->valid, row))
        return put32(p, UINT32_MAX);
    switch (c->type) {
    case COLUMN_BOOLEAN:
        p = put32(p, 1);
        *p = bitmap_get(c->values, row);
        return p + 1;
    case COLUMN_INTEGER:
        return put_int64(p, ((const int64_t *)c->values)[row]);
    case COLUMN_NUMBER:
        return put64(put32(p, 8), ((const uint64_t *)c->values)[row]); /* the double's bits */
    case COLUMN_TIMESTAMP:
        return put_int64(p, ((const int64_t *)c->values)[row] - PG_EPOCH_US);
    case COLUMN_DATE:
        return put32(put32(p, 4), (uint32_t)(((const int32_t *)c->values)[row] - PG_EPOCH_DAYS));
    case COLUMN_UUID:
        memcpy(put32(p, 16), (const char *)c->values + 16u * row, 16);
        return p + 20;
    case COLUMN_TEXT:
    case COLUMN_JSON: {
        uint32_t start = (uint32_t)c->offsets[row], len = (uint32_t)c->offsets[row + 1] - start;
        bool json = c->type == COLUMN_JSON;
        p = put32(p, len + json);
        if (json)
            *p++ = 1; /* jsonb's version byte */
        if (len)
            memcpy(p, c->data + start, len);
        return p + len;
    }
    }
    abort();
}

/* The most that the chosen rows of a column can take. */
static size_t column_room(const column *c, const copy_rows *r, uint32_t n, uint32_t batch_rows)
{
    size_t room = (size_t)n * 20; /* length and the widest fixed value */
    if (!c->offsets)
        return room;
    if (!r->order)
        return room + (size_t)(c->offsets[batch_rows] - c->offsets[0]);
    for (uint32_t i = 0; i < n; i++)
        room += (size_t)(c->offsets[r->order[i] + 1] - c->offsets[r->order[i]]);
    return room;
}

void copy_begin(text *out)
{
    text_clear(out);
    text_add_n(out, header, sizeof header);
}

void copy_add(text *out, const batch *b, const copy_rows *r)
{
    uint32_t n = chosen(r, b->n_rows);
    size_t room = 2 + (size_t)n * 26;
    uint16_t fields = (uint16_t)(b->n_columns + (r->system ? 2 : 0));
    assert(b->n_columns + 2 <= FIELDS_MAX);
    for (uint32_t k = 0; k < b->n_columns; k++)
        room += column_room(&b->columns[k], r, n, b->n_rows);
    text_reserve(out, room);
    char *first = out->data + out->len, *p = first;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = row_at(r, i);
        p = put16(p, fields);
        for (uint32_t k = 0; k < b->n_columns; k++)
            p = put_field(p, &b->columns[k], row);
        if (r->system)
            p = put_int64(put_int64(p, r->first_seq + row), r->received_us - PG_EPOCH_US);
    }
    assert((size_t)(p - first) <= room);
    out->len += (size_t)(p - first);
    *p = '\0';
}

void copy_finish(text *out)
{
    uint16_t trailer = UINT16_MAX;
    text_add_n(out, &trailer, sizeof trailer);
}

void copy_encode(text *out, const batch *b, const copy_rows *r)
{
    copy_begin(out);
    copy_add(out, b, r);
    copy_finish(out);
}

void copy_statement(text *out, const store_table *t)
{
    char label[TABLE_LABEL_SIZE];
    table_label(label, t);
    text_clear(out);
    text_printf(out, "COPY %s (", label);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        if (i)
            text_add(out, ", ");
        sql_identifier(out, t->columns[i].name);
    }
    if (t->has_extra)
        text_add(out, ", \"_extra\"");
    if (t->class == STORE_DATASTORE)
        text_add(out, ", \"_seq\", \"_received\"");
    text_add(out, ") FROM STDIN (FORMAT binary)");
}

status_class copy_send(connection *c, const char *sql, const text *bytes, int64_t *stored_out, status *st)
{
    status_class ret = connection_copy_begin(c, sql, st);
    if (ret == STATUS_OK)
        ret = connection_copy_data(c, bytes->data, bytes->len, st);
    if (ret == STATUS_OK)
        ret = connection_copy_end(c, NULL, stored_out, st);
    return ret;
}

/* ---- arrays ---- */

#define ARRAY_HEADER 20

static char *put_array_header(text *out, uint32_t oid, uint32_t n, bool nulls, size_t room)
{
    text_reserve(out, room + ARRAY_HEADER);
    char *p = out->data + out->len;
    p = put32(p, n > 0);
    p = put32(p, nulls);
    p = put32(p, oid);
    if (n == 0)
        return p;
    p = put32(p, n);
    return put32(p, 1);
}

static void end_array(text *out, char *p)
{
    out->len = (size_t)(p - out->data);
    assert(out->len < out->cap);
    *p = '\0';
}

void copy_encode_array(text *out, const column *c, const copy_rows *r, uint32_t batch_rows)
{
    uint32_t n = chosen(r, batch_rows);
    char *p =
        put_array_header(out, column_oid(c->type), n, c->valid != NULL, column_room(c, r, n, batch_rows) + n);
    for (uint32_t i = 0; i < n; i++)
        p = put_field(p, c, row_at(r, i));
    end_array(out, p);
}

void copy_encode_presence(text *out, const column *c, const copy_rows *r, uint32_t batch_rows)
{
    uint32_t n = chosen(r, batch_rows);
    char *p = put_array_header(out, 16, n, false, (size_t)n * 5);
    for (uint32_t i = 0; i < n; i++) {
        p = put32(p, 1);
        *p++ = column_is_present(c, row_at(r, i));
    }
    end_array(out, p);
}

value copy_times_value(arena *a, const int64_t *times, uint32_t n)
{
    text bytes = {0};
    column c = {.type = COLUMN_TIMESTAMP, .values = times};
    copy_encode_array(&bytes, &c, &(copy_rows){.order = NULL}, n);
    value v =
        value_binary(column_array_oid(COLUMN_TIMESTAMP), arena_copy(a, bytes.data, bytes.len), bytes.len);
    text_free(&bytes);
    return v;
}
