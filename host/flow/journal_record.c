#include "flow/journal_record.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "journal records are little-endian");
_Static_assert(sizeof(record_head) == 104, "the head is part of the format");

enum { TAG_STORE = 1, TAG_ORIGIN = 2, TAG_REQUEST = 3, TAG_FIRST_FREE = 256 };

typedef struct tag_head {
    uint16_t tag, len;
} tag_head;

typedef struct column_head { /* of a serialised batch */
    uint8_t type, has_valid, has_present, reserved[5];
    uint64_t data_bytes;
} column_head;

typedef struct batch_head {
    uint32_t n_rows, n_columns;
} batch_head;

static size_t aligned(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* ---- batches ---- */

static bool is_text(column_type type)
{
    return type == COLUMN_TEXT || type == COLUMN_JSON;
}

static size_t bitmap_bytes(uint32_t n_rows)
{
    return aligned(((size_t)n_rows + 7) / 8);
}

static size_t values_bytes(column_type type, uint32_t n_rows)
{
    if (is_text(type))
        return aligned(((size_t)n_rows + 1) * 4);
    return type == COLUMN_BOOLEAN ? bitmap_bytes(n_rows) : aligned(column_width(type) * n_rows);
}

static size_t text_bytes(const column *c, uint32_t n_rows)
{
    return is_text(c->type) && n_rows ? (size_t)(c->offsets[n_rows] - c->offsets[0]) : 0;
}

static size_t record_batch_bytes(const batch *b)
{
    size_t total = sizeof(batch_head) + b->n_columns * sizeof(column_head);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column *c = &b->columns[i];
        total += ((c->valid != NULL) + (c->present != NULL)) * bitmap_bytes(b->n_rows);
        total += values_bytes(c->type, b->n_rows) + aligned(text_bytes(c, b->n_rows));
    }
    return total;
}

static char *put(char *out, const void *data, size_t len, size_t room)
{
    if (len)
        memcpy(out, data, len);
    memset(out + len, 0, room - len);
    return out + room;
}

static char *put_bitmap(char *out, const uint8_t *bits, uint32_t n_rows)
{
    return bits ? put(out, bits, ((size_t)n_rows + 7) / 8, bitmap_bytes(n_rows)) : out;
}

static char *put_offsets(char *out, const column *c, uint32_t n_rows)
{
    int32_t *to = (int32_t *)(void *)out, first = n_rows ? c->offsets[0] : 0;
    size_t room = values_bytes(c->type, n_rows);
    to[0] = 0;
    if (first == 0 && n_rows)
        memcpy(to, c->offsets, ((size_t)n_rows + 1) * 4);
    else
        for (uint32_t i = 0; i < n_rows; i++)
            to[i + 1] = c->offsets[i + 1] - first;
    memset(out + ((size_t)n_rows + 1) * 4, 0, room - ((size_t)n_rows + 1) * 4);
    return out + room;
}

static char *put_values(char *out, const column *c, uint32_t n_rows)
{
    if (is_text(c->type)) {
        size_t len = text_bytes(c, n_rows);
        out = put_offsets(out, c, n_rows);
        return put(out, len ? c->data + c->offsets[0] : NULL, len, aligned(len));
    }
    size_t len = c->type == COLUMN_BOOLEAN ? ((size_t)n_rows + 7) / 8 : column_width(c->type) * n_rows;
    return put(out, c->values, len, values_bytes(c->type, n_rows));
}

/* exactly record_batch_bytes */
static void record_batch_write(const batch *b, void *out)
{
    batch_head head = {b->n_rows, b->n_columns};
    char *p = put(out, &head, sizeof head, sizeof head);
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column *c = &b->columns[i];
        column_head ch = {.type = (uint8_t)c->type,
                          .has_valid = c->valid != NULL,
                          .has_present = c->present != NULL,
                          .data_bytes = text_bytes(c, b->n_rows)};
        p = put(p, &ch, sizeof ch, sizeof ch);
    }
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const column *c = &b->columns[i];
        p = put_bitmap(p, c->valid, b->n_rows);
        p = put_bitmap(p, c->present, b->n_rows);
        p = put_values(p, c, b->n_rows);
    }
}

typedef struct buffer_cursor {
    const char *p, *end;
} buffer_cursor;

static const void *take(buffer_cursor *in, size_t len)
{
    const char *p = in->p;
    if ((size_t)(in->end - p) < len)
        return NULL;
    in->p += len;
    return p;
}

static bool offsets_fit(const int32_t *offsets, uint32_t n_rows, uint64_t data_bytes)
{
    if (offsets[0] != 0 || (uint64_t)offsets[n_rows] != data_bytes)
        return false;
    for (uint32_t i = 0; i < n_rows; i++)
        if (offsets[i] > offsets[i + 1])
            return false;
    return true;
}

static bool read_column(buffer_cursor *in, const column_head *h, uint32_t n_rows, column *out)
{
    *out = (column){.type = (column_type)h->type};
    if (h->type < COLUMN_BOOLEAN || h->type > COLUMN_JSON || h->data_bytes > INT32_MAX)
        return false;
    if (h->has_valid && !(out->valid = take(in, bitmap_bytes(n_rows))))
        return false;
    if (h->has_present && !(out->present = take(in, bitmap_bytes(n_rows))))
        return false;
    const void *values = take(in, values_bytes(out->type, n_rows));
    if (!values)
        return false;
    if (!is_text(out->type)) {
        out->values = values;
        return true;
    }
    out->offsets = values;
    out->data = take(in, aligned(h->data_bytes));
    return out->data && offsets_fit(out->offsets, n_rows, h->data_bytes);
}

bool record_batch_read(const void *data, size_t len, arena *a, batch *out)
{
    buffer_cursor in = {data, (const char *)data + len};
    const batch_head *head = take(&in, sizeof *head);
    if (!head || head->n_columns > len / sizeof(column_head))
        return false;
    const column_head *heads = take(&in, head->n_columns * sizeof *heads);
    if (!heads)
        return false;
    column *columns = arena_alloc(a, (head->n_columns + 1) * sizeof *columns);
    for (uint32_t i = 0; i < head->n_columns; i++)
        if (!read_column(&in, &heads[i], head->n_rows, &columns[i]))
            return false;
    *out = (batch){head->n_rows, head->n_columns, columns};
    return true;
}

/* ---- records ---- */

static size_t text_len(const char *s)
{
    return s ? strlen(s) : 0;
}

static status_class check_entry(const journal_entry *e, status *st)
{
    bool stray = e->kind == JOURNAL_REJECTED && strcmp(e->store, JOURNAL_STORE_UNKNOWN) == 0;
    if (!stray && !name_is_key(e->store))
        return status_set(st, STATUS_INVALID, "journal: not a store's key");
    if (text_len(e->origin) > JOURNAL_ORIGIN_MAX || text_len(e->request_id) > JOURNAL_REQUEST_MAX)
        return status_set(st, STATUS_INVALID, "journal: origin or request id is too long");
    if (e->n_fields > JOURNAL_FIELDS_MAX)
        return status_set(st, STATUS_INVALID, "journal: more than %d fields", JOURNAL_FIELDS_MAX);
    assert(e->kind != JOURNAL_ROWS || e->rows);
    return STATUS_OK;
}

static size_t tags_bytes(const journal_entry *e)
{
    size_t n = 3 * sizeof(tag_head) + strlen(e->store) + text_len(e->origin) + text_len(e->request_id);
    for (uint32_t i = 0; i < e->n_fields; i++)
        n += sizeof(tag_head) + e->fields[i].len;
    return n;
}

static char *put_tag(char *out, unsigned tag, const void *data, size_t len)
{
    tag_head head = {(uint16_t)tag, (uint16_t)len};
    memcpy(out, &head, sizeof head);
    if (len)
        memcpy(out + sizeof head, data, len);
    return out + sizeof head + len;
}

static char *put_tags(char *p, const journal_entry *e)
{
    p = put_tag(p, TAG_STORE, e->store, strlen(e->store));
    p = put_tag(p, TAG_ORIGIN, e->origin, text_len(e->origin));
    p = put_tag(p, TAG_REQUEST, e->request_id, text_len(e->request_id));
    for (uint32_t i = 0; i < e->n_fields; i++)
        p = put_tag(p, TAG_FIRST_FREE + e->fields[i].tag, e->fields[i].data, e->fields[i].len);
    return p;
}

status_class record_encode(const journal_entry *e, void **data_out, size_t *len_out, status *st)
{
    if (check_entry(e, st) != STATUS_OK)
        return st->class;
    bool rows = e->kind == JOURNAL_ROWS;
    size_t payload_at = aligned(sizeof(record_head) + tags_bytes(e));
    size_t payload = rows ? record_batch_bytes(e->rows) : e->payload_len;
    if (payload > JOURNAL_RECORD_MAX || payload_at + payload > JOURNAL_RECORD_MAX)
        return status_set(st, STATUS_LIMIT, "journal: a record of %zu bytes is more than the limit of %u",
                          payload, JOURNAL_RECORD_MAX);
    char *data = memory_alloc(payload_at + payload + 1);
    record_head head = {.magic = RECORD_MAGIC,
                        .version = RECORD_VERSION,
                        .head_bytes = sizeof head,
                        .total_bytes = payload_at + payload,
                        .kind = (uint16_t)e->kind,
                        .flags = e->flags,
                        .lane = (uint8_t)e->lane,
                        .shard = e->shard,
                        .wid = e->wid,
                        .n_rows = rows ? e->rows->n_rows : e->payload_rows,
                        .generation = e->generation,
                        .received_us = e->received_us,
                        .count_received = e->count_received,
                        .count_rejected = e->count_rejected,
                        .count_dropped = e->count_dropped,
                        .payload_at = (uint32_t)payload_at};
    memcpy(data, &head, sizeof head);
    char *p = put_tags(data + sizeof head, e);
    memset(p, 0, (size_t)(data + payload_at - p));
    if (rows)
        record_batch_write(e->rows, data + payload_at);
    else if (payload)
        memcpy(data + payload_at, e->payload, payload);
    *data_out = data;
    *len_out = payload_at + payload;
    return STATUS_OK;
}

bool record_head_read(const void *data, size_t len, record_head *out)
{
    if (len < sizeof *out)
        return false;
    memcpy(out, data, sizeof *out);
    return out->magic == RECORD_MAGIC && out->version >= 1 && out->head_bytes >= sizeof *out &&
           out->total_bytes <= JOURNAL_RECORD_MAX && out->head_bytes <= out->payload_at &&
           out->payload_at <= out->total_bytes && out->payload_at % 8 == 0;
}

static bool read_tag(const tag_head *h, const char *data, arena *a, journal_record *r, journal_field *fields)
{
    switch (h->tag) {
    case TAG_STORE:
        if (h->len > NAME_KEY_MAX)
            return false;
        memcpy(r->store, data, h->len);
        r->store[h->len] = '\0';
        return true;
    case TAG_ORIGIN:
        r->origin = arena_string_n(a, data, h->len);
        return true;
    case TAG_REQUEST:
        r->request_id = arena_string_n(a, data, h->len);
        return true;
    default:
        if (h->tag >= TAG_FIRST_FREE && r->n_fields < JOURNAL_FIELDS_MAX)
            fields[r->n_fields++] =
                (journal_field){.tag = (uint16_t)(h->tag - TAG_FIRST_FREE), .len = h->len, .data = data};
        return true;
    }
}

static bool read_tags(const char *p, const char *end, arena *a, journal_record *r)
{
    journal_field fields[JOURNAL_FIELDS_MAX];
    tag_head h;
    while ((size_t)(end - p) >= sizeof h) {
        memcpy(&h, p, sizeof h);
        p += sizeof h;
        if (h.tag == 0) /* padding */
            break;
        if ((size_t)(end - p) < h.len || !read_tag(&h, p, a, r, fields))
            return false;
        p += h.len;
    }
    if (r->n_fields)
        r->fields = arena_copy(a, fields, r->n_fields * sizeof *fields);
    return true;
}

bool record_store_read(const void *data, size_t len, char *store_out)
{
    record_head h;
    tag_head tag;
    if (!record_head_read(data, len, &h) || len < h.head_bytes + sizeof tag)
        return false;
    const char *p = (const char *)data + h.head_bytes;
    memcpy(&tag, p, sizeof tag); /* it is written first */
    if (tag.tag != TAG_STORE || tag.len > NAME_KEY_MAX || len < h.head_bytes + sizeof tag + tag.len)
        return false;
    memcpy(store_out, p + sizeof tag, tag.len);
    store_out[tag.len] = '\0';
    return name_is_key(store_out);
}

bool record_decode(const void *data, size_t len, arena *a, journal_record *out)
{
    record_head h;
    if (!record_head_read(data, len, &h) || h.total_bytes != len)
        return false;
    *out = (journal_record){.kind = (journal_kind)h.kind,
                            .flags = h.flags,
                            .wid = h.wid,
                            .lane = (journal_lane)h.lane,
                            .shard = h.shard,
                            .seq = h.seq,
                            .prev_seq = h.prev_seq,
                            .generation = h.generation,
                            .origin = "",
                            .request_id = "",
                            .received_us = h.received_us,
                            .count_received = h.count_received,
                            .count_rejected = h.count_rejected,
                            .count_dropped = h.count_dropped,
                            .first_row = h.first_row,
                            .n_rows = h.n_rows,
                            .payload = (const char *)data + h.payload_at,
                            .payload_len = len - h.payload_at};
    if (!read_tags((const char *)data + h.head_bytes, (const char *)data + h.payload_at, a, out))
        return false;
    return out->kind != JOURNAL_ROWS || (record_batch_read(out->payload, out->payload_len, a, &out->rows) &&
                                         out->rows.n_rows == out->n_rows);
}

const journal_field *journal_record_field(const journal_record *r, uint16_t tag)
{
    for (uint32_t i = 0; i < r->n_fields; i++)
        if (r->fields[i].tag == tag)
            return &r->fields[i];
    return NULL;
}
