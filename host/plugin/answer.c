/* Buffers stay where they are in the copied frame; only columns of types that the host does not have (32-bit
 * integers, dates and uuids as text) are converted into the batch's own arena. */
#include "plugin/answer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/utc.h"
#include "penstock/batch.h"
#include "plugin/batch_check.h"
#include "schema/format.h"

enum { NAME_BYTES_MAX = 128 };

struct answer_memory {
    atomic_uint holders;
    uint8_t *frame;
    size_t len;
};

typedef struct owned_batch {
    instance_batch shown; /* first */
    answer_memory *memory;
    arena *arena;
} owned_batch;

answer_memory *answer_memory_make(uint8_t *frame, size_t len)
{
    answer_memory *m = memory_zero(1, sizeof *m);
    m->holders = 1;
    m->frame = frame;
    m->len = len;
    return m;
}

void answer_memory_release(answer_memory *m)
{
    if (!m || atomic_fetch_sub(&m->holders, 1) > 1)
        return;
    free(m->frame);
    free(m);
}

frame_reader answer_reader(const answer_memory *m)
{
    return frame_reader_make(m->frame, m->len);
}

void instance_batch_free(instance_batch *b)
{
    if (!b)
        return;
    owned_batch *o = (owned_batch *)(void *)b;
    answer_memory_release(o->memory);
    arena *memory = o->arena;
    arena_free(memory);
}

int instance_batch_column(const instance_batch *b, const char *name)
{
    for (uint32_t i = 0; i < b->rows.n_columns; i++)
        if (!strcmp(b->names[i], name))
            return (int)i;
    return -1;
}

static status_class unreadable(status *st)
{
    return status_set(st, STATUS_INVALID, "the plugin's answer cannot be read");
}

/* ---- Columns that are converted ---- */

static void widen(const checked_column *c, arena *a, column *out)
{
    const int32_t *narrow = c->values.data;
    int64_t *wide = arena_alloc(a, (size_t)c->n_rows * sizeof *wide);
    for (uint32_t i = 0; i < c->n_rows; i++)
        wide[i] = narrow[i];
    out->type = COLUMN_INTEGER;
    out->values = wide;
}

static bool parse_one(const checked_column *c, uint32_t row, void *values)
{
    const int32_t *offsets = c->values.data;
    const char *s = (const char *)c->data.data + offsets[row];
    size_t len = (size_t)(offsets[row + 1] - offsets[row]);
    if (c->type == PST_DATE)
        return utc_parse_date(s, len, (int32_t *)values + row);
    return format_uuid_parse(s, len, (uint8_t *)values + 16 * (size_t)row);
}

static status_class parse_text(const checked_column *c, arena *a, column *out, status *st)
{
    out->type = c->type == PST_DATE ? COLUMN_DATE : COLUMN_UUID;
    void *values = arena_zero(a, c->n_rows, column_width(out->type));
    for (uint32_t i = 0; i < c->n_rows; i++) {
        bool null = c->valid.len && !bitmap_get(c->valid.data, i);
        if (!null && !parse_one(c, i, values))
            return status_at(st, STATUS_INVALID, c->name, "column %.60s, row %u: not a %s", c->name, i,
                             c->type == PST_DATE ? "date" : "uuid");
    }
    out->values = values;
    return STATUS_OK;
}

static status_class column_make(const checked_column *c, arena *a, column *out, status *st)
{
    *out = (column){.valid = c->valid.len ? c->valid.data : NULL};
    switch (c->type) {
    case PST_INT32:
        widen(c, a, out);
        return STATUS_OK;
    case PST_DATE:
    case PST_UUID:
        return parse_text(c, a, out, st);
    case PST_BOOLEAN:
        out->type = COLUMN_BOOLEAN;
        break;
    case PST_INTEGER:
        out->type = COLUMN_INTEGER;
        break;
    case PST_NUMBER:
        out->type = COLUMN_NUMBER;
        break;
    case PST_TIME:
        out->type = COLUMN_TIMESTAMP;
        break;
    default:
        out->type = c->type == PST_JSON ? COLUMN_JSON : COLUMN_TEXT;
        out->offsets = c->values.data;
        out->data = c->data.data;
        return STATUS_OK;
    }
    out->values = c->values.data;
    return STATUS_OK;
}

/* ---- A batch ---- */

static status_class read_column(frame_reader *r, owned_batch *o, uint32_t index, status *st)
{
    frame_item head;
    checked_column c = {.n_rows = o->shown.rows.n_rows};
    if (!frame_take(r, FRAME_COLUMN, &head) || !frame_take(r, FRAME_VALID, &c.valid) ||
        !frame_take(r, FRAME_VALUES, &c.values))
        return unreadable(st);
    c.type = (pst_type)head.aux;
    c.name = frame_item_text(&head);
    if (c.type >= PST_TEXT && !frame_take(r, FRAME_DATA, &c.data))
        return unreadable(st);
    if (!c.name || !*c.name || strlen(c.name) > NAME_BYTES_MAX || !utf8_valid(c.name, strlen(c.name)))
        return status_set(st, STATUS_INVALID, "column %u has no name, or one of more than %d bytes", index,
                          NAME_BYTES_MAX);
    for (uint32_t i = 0; i < index; i++)
        if (!strcmp(o->shown.names[i], c.name))
            return status_at(st, STATUS_INVALID, c.name, "two columns are named %s", c.name);
    bool payload = !strcmp(c.name, "_payload");
    if (o->shown.raw && !payload && strcmp(c.name, "_meta") != 0)
        return status_at(st, STATUS_INVALID, c.name, "a raw batch has the columns _payload and _meta only");
    if (o->shown.raw && c.type != PST_TEXT && c.type != PST_BINARY)
        return status_at(st, STATUS_INVALID, c.name, "column %s of a raw batch is neither text nor bytes",
                         c.name);
    c.raw = o->shown.raw;
    status_class class = batch_check_column(&c, st);
    if (class != STATUS_OK)
        return class;
    ((const char **)o->shown.names)[index] = c.name;
    return column_make(&c, o->arena, (column *)&o->shown.rows.columns[index], st);
}

static status_class read_columns(frame_reader *r, owned_batch *o, uint32_t max_rows, status *st)
{
    frame_item head;
    frame_batch shape;
    if (!frame_take(r, FRAME_BATCH, &head) || head.len < sizeof shape)
        return unreadable(st);
    memcpy(&shape, head.data, sizeof shape);
    if (shape.n_rows > max_rows || shape.n_columns > PST_COLUMNS_MAX)
        return status_set(st, STATUS_LIMIT,
                          "the plugin's batch has %u rows and %u columns; at most %u and %d were asked for",
                          shape.n_rows, shape.n_columns, max_rows, PST_COLUMNS_MAX);
    instance_batch *b = &o->shown;
    b->raw = head.aux & PST_BATCH_RAW;
    b->aligned = head.aux & PST_BATCH_ALIGNED;
    b->names = arena_zero(o->arena, shape.n_columns + 1, sizeof *b->names);
    b->rows = (batch){.n_rows = shape.n_rows,
                      .n_columns = shape.n_columns,
                      .columns = arena_zero(o->arena, shape.n_columns + 1, sizeof(column))};
    for (uint32_t i = 0; i < shape.n_columns; i++) {
        status_class class = read_column(r, o, i, st);
        if (class != STATUS_OK)
            return class;
    }
    if (b->raw && shape.n_rows && instance_batch_column(b, "_payload") < 0)
        return status_set(st, STATUS_INVALID, "a raw batch has no column _payload");
    return STATUS_OK;
}

static status_class read_rejects(frame_reader *r, owned_batch *o, status *st)
{
    frame_reader ahead = *r;
    frame_item item, where, reason;
    size_t n = 0;
    while (frame_take(&ahead, FRAME_REJECT, &item)) {
        if (!frame_take(&ahead, FRAME_WHERE, &where) || !frame_take(&ahead, FRAME_REASON, &reason) ||
            !frame_item_text(&where) || !frame_item_text(&reason))
            return unreadable(st);
        n++;
    }
    if (n > INSTANCE_ROWS_MAX)
        return status_set(st, STATUS_LIMIT, "the plugin rejects more than %d records at once",
                          INSTANCE_ROWS_MAX);
    instance_reject *rejects = arena_zero(o->arena, n + 1, sizeof *rejects);
    for (size_t i = 0; i < n; i++) {
        frame_next(r, &item);
        frame_next(r, &where);
        frame_next(r, &reason);
        rejects[i] = (instance_reject){.payload = item.data,
                                       .payload_len = item.len,
                                       .where = frame_item_text(&where),
                                       .reason = frame_item_text(&reason)};
    }
    o->shown.rejects = rejects;
    o->shown.n_rejects = n;
    return STATUS_OK;
}

static status_class read_front(frame_reader *r, owned_batch *o, status *st)
{
    frame_item item;
    o->shown.stream = "";
    if (frame_take(r, FRAME_STREAM, &item)) {
        o->shown.stream = frame_item_text(&item);
        if (!o->shown.stream || !utf8_valid(o->shown.stream, strlen(o->shown.stream)))
            return unreadable(st);
    }
    if (frame_take(r, FRAME_CURSOR, &item)) {
        o->shown.cursor = item.data;
        o->shown.cursor_len = item.len;
    }
    if (o->shown.cursor_len > INSTANCE_CURSOR_MAX)
        return status_set(st, STATUS_LIMIT, "the plugin's cursor has %zu bytes; the limit is %d",
                          o->shown.cursor_len, INSTANCE_CURSOR_MAX);
    return STATUS_OK;
}

status_class answer_batch(answer_memory *m, frame_reader *r, uint32_t max_rows, instance_batch **batch_out,
                          status *st)
{
    arena *a = arena_create(0);
    owned_batch *o = arena_zero(a, 1, sizeof *o);
    o->arena = a;
    o->memory = m;
    atomic_fetch_add(&m->holders, 1);
    status_class class = read_front(r, o, st);
    if (class == STATUS_OK)
        class = read_rejects(r, o, st);
    if (class == STATUS_OK)
        class = read_columns(r, o, max_rows, st);
    *batch_out = class == STATUS_OK ? &o->shown : NULL;
    if (class != STATUS_OK)
        instance_batch_free(&o->shown);
    return class;
}
