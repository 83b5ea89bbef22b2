/* The batch builder: one growing set of buffers a column, in Arrow layout from the first value on, so
 * finishing a batch moves pointers and copies nothing. A column keeps one cell "pending" for the row that is
 * being filled; pst_builder_row fixes it, or writes a null. The finished schema and array live in one block
 * each that their release frees. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

enum { NAME_LIMIT = 128, INITIAL_ROWS = 64 };

typedef struct buffer {
    uint8_t *data;
    size_t len, cap;
} buffer;

typedef struct builder_column {
    char name[NAME_LIMIT];
    pst_type type;
    bool set; /* the current row has a value */
    uint32_t nulls;
    buffer valid, values, data;
} builder_column;

typedef struct pending_reject {
    size_t payload, payload_len, where, reason; /* offsets into `texts`; where == reason: none */
} pending_reject;

struct pst_builder {
    bool failed;       /* out of memory, or more than an int32 of text */
    const char *wrong; /* name of a column that was given a value it cannot hold: a bug of the plugin */
    uint32_t rows, n_columns;
    builder_column *columns;
    buffer texts;   /* payloads, places and reasons of the rejects */
    buffer rejects; /* pending_reject */
};

static bool buffer_room(buffer *b, size_t more)
{
    if (b->len + more <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : INITIAL_ROWS;
    while (cap < b->len + more)
        cap *= 2;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

static bool buffer_add(buffer *b, const void *data, size_t len)
{
    if (!buffer_room(b, len))
        return false;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

static void buffer_drop(buffer *b)
{
    free(b->data);
    *b = (buffer){0};
}

static bool bitmap_put(buffer *b, uint32_t row, bool bit)
{
    if (row / 8 >= b->len && !buffer_add(b, "", 1))
        return false;
    uint8_t mask = (uint8_t)(1u << (row & 7));
    b->data[row / 8] = (uint8_t)(bit ? b->data[row / 8] | mask : b->data[row / 8] & ~mask);
    return true;
}

static size_t type_width(pst_type type)
{
    switch (type) {
    case PST_INT32:
        return 4;
    case PST_INTEGER:
    case PST_NUMBER:
    case PST_TIME:
        return 8;
    default:
        return 0;
    }
}

static bool type_is_text(pst_type type)
{
    return type >= PST_TEXT && type <= PST_DECIMAL;
}

pst_builder *pst_builder_create(void)
{
    return calloc(1, sizeof(pst_builder));
}

static void column_drop(builder_column *c)
{
    buffer_drop(&c->valid);
    buffer_drop(&c->values);
    buffer_drop(&c->data);
    c->nulls = 0;
    c->set = false;
}

void pst_builder_free(pst_builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->n_columns; i++)
        column_drop(&b->columns[i]);
    free(b->columns);
    buffer_drop(&b->texts);
    buffer_drop(&b->rejects);
    free(b);
}

int pst_builder_column(pst_builder *b, const char *name, pst_type type)
{
    if (b->rows || b->n_columns >= PST_COLUMNS_MAX || strlen(name) >= NAME_LIMIT || type < PST_BOOLEAN ||
        type > PST_DECIMAL)
        return -1;
    for (uint32_t i = 0; i < b->n_columns; i++)
        if (!strcmp(b->columns[i].name, name))
            return -1;
    builder_column *columns = realloc(b->columns, (b->n_columns + 1) * sizeof *columns);
    if (!columns)
        return -1;
    b->columns = columns;
    builder_column *c = &columns[b->n_columns];
    memset(c, 0, sizeof *c);
    memcpy(c->name, name, strlen(name) + 1);
    c->type = type;
    return (int)b->n_columns++;
}

/* The column that a value is set on; NULL if it cannot be: no such column, or it has a value in this row
 * already. */
static builder_column *column_for(pst_builder *b, int column)
{
    if (b->failed)
        return NULL;
    if (column < 0 || (uint32_t)column >= b->n_columns) {
        b->wrong = "(unknown)";
        return NULL;
    }
    if (b->columns[column].set) {
        b->wrong = b->columns[column].name;
        return NULL;
    }
    return &b->columns[column];
}

static void column_fix(pst_builder *b, builder_column *c, bool stored)
{
    c->set = stored;
    b->failed |= !stored;
}

void pst_builder_set_flag(pst_builder *b, int column, bool value)
{
    builder_column *c = column_for(b, column);
    if (c && c->type == PST_BOOLEAN)
        column_fix(b, c, bitmap_put(&c->values, b->rows, value));
    else if (c)
        b->wrong = c->name;
}

void pst_builder_set_real(pst_builder *b, int column, double value)
{
    builder_column *c = column_for(b, column);
    if (c && c->type == PST_NUMBER)
        column_fix(b, c, buffer_add(&c->values, &value, sizeof value));
    else if (c)
        b->wrong = c->name;
}

void pst_builder_set_int(pst_builder *b, int column, int64_t value)
{
    builder_column *c = column_for(b, column);
    if (!c)
        return;
    int32_t narrow = (int32_t)value;
    if (c->type == PST_NUMBER)
        pst_builder_set_real(b, column, (double)value);
    else if (c->type == PST_INTEGER || c->type == PST_TIME)
        column_fix(b, c, buffer_add(&c->values, &value, sizeof value));
    else if (c->type == PST_INT32 && narrow == value)
        column_fix(b, c, buffer_add(&c->values, &narrow, sizeof narrow));
    else
        b->wrong = c->name;
}

void pst_builder_set_bytes(pst_builder *b, int column, const void *data, size_t len)
{
    builder_column *c = column_for(b, column);
    if (c && !type_is_text(c->type))
        b->wrong = c->name;
    if (!c || !type_is_text(c->type))
        return;
    bool stored = len <= INT32_MAX - c->data.len && buffer_add(&c->data, data, len);
    column_fix(b, c, stored);
}

void pst_builder_set_text(pst_builder *b, int column, const char *value)
{
    if (value)
        pst_builder_set_bytes(b, column, value, strlen(value));
}

/* Text columns hold offsets in `values`: one before the first row, one after each. */
static bool column_end_text(builder_column *c)
{
    static const int32_t zero;
    if (!c->values.len && !buffer_add(&c->values, &zero, sizeof zero))
        return false;
    int32_t end = (int32_t)c->data.len;
    return buffer_add(&c->values, &end, sizeof end);
}

static bool column_end_row(builder_column *c, uint32_t row)
{
    static const uint8_t zeros[8];
    bool ok = bitmap_put(&c->valid, row, c->set);
    if (type_is_text(c->type))
        ok = ok && column_end_text(c);
    else if (!c->set && c->type == PST_BOOLEAN)
        ok = ok && bitmap_put(&c->values, row, false);
    else if (!c->set)
        ok = ok && buffer_add(&c->values, zeros, type_width(c->type));
    c->nulls += !c->set;
    c->set = false;
    return ok;
}

void pst_builder_row(pst_builder *b)
{
    for (uint32_t i = 0; i < b->n_columns && !b->failed; i++)
        b->failed = !column_end_row(&b->columns[i], b->rows);
    b->rows += !b->failed;
    b->failed |= b->rows == INT32_MAX;
}

void pst_builder_payload(pst_builder *b, const void *data, size_t len, const char *meta)
{
    if (!b->n_columns &&
        (pst_builder_column(b, "_payload", PST_BINARY) < 0 || pst_builder_column(b, "_meta", PST_TEXT) < 0)) {
        b->failed = true;
        return;
    }
    if (b->n_columns != 2 || strcmp(b->columns[0].name, "_payload") != 0) {
        b->wrong = "_payload";
        return;
    }
    pst_builder_set_bytes(b, 0, data, len);
    pst_builder_set_text(b, 1, meta);
    pst_builder_row(b);
}

void pst_builder_clear(pst_builder *b)
{
    for (uint32_t i = 0; i < b->n_columns; i++)
        column_drop(&b->columns[i]);
    buffer_drop(&b->texts);
    buffer_drop(&b->rejects);
    b->rows = 0;
    b->failed = false;
    b->wrong = NULL;
}

uint32_t pst_builder_rows(const pst_builder *b)
{
    return b->rows;
}

size_t pst_builder_bytes(const pst_builder *b)
{
    size_t bytes = b->texts.len;
    for (uint32_t i = 0; i < b->n_columns; i++)
        bytes += b->columns[i].values.len + b->columns[i].data.len + b->columns[i].valid.len;
    return bytes;
}

void pst_builder_reject(pst_builder *b, const void *payload, size_t len, const char *where,
                        const char *reason)
{
    pending_reject r = {.payload = b->texts.len, .payload_len = len};
    bool ok = !b->failed && buffer_add(&b->texts, payload, len);
    r.where = b->texts.len;
    if (where)
        ok = ok && buffer_add(&b->texts, where, strlen(where) + 1);
    r.reason = b->texts.len;
    ok = ok && buffer_add(&b->texts, reason, strlen(reason) + 1) && buffer_add(&b->rejects, &r, sizeof r);
    b->failed |= !ok;
}

/* ---- Handing over ---- */

typedef struct sent_column {
    struct ArrowArray array;
    const void *buffers[3];
    void *owned[3];
} sent_column;

typedef struct sent_array { /* private_data of the top array */
    sent_column *columns;
    struct ArrowArray **children;
    const void *no_validity[1];
    void *texts; /* of the rejects */
    pst_reject *rejects;
    char *stream;
    void *cursor;
} sent_array;

typedef struct sent_field {
    struct ArrowSchema schema;
    char name[NAME_LIMIT];
    char metadata[32];
} sent_field;

static void sent_array_free(sent_array *s, size_t n_columns)
{
    for (size_t i = 0; s->columns && i < n_columns; i++)
        for (int k = 0; k < 3; k++)
            free(s->columns[i].owned[k]);
    free(s->columns);
    free(s->children);
    free(s->texts);
    free(s->rejects);
    free(s->stream);
    free(s->cursor);
    free(s);
}

static void on_array_release(struct ArrowArray *array)
{
    sent_array_free(array->private_data, (size_t)array->n_children);
    array->release = NULL;
}

static void on_child_release(struct ArrowArray *array)
{
    array->release = NULL; /* the parent owns the memory */
}

static void on_schema_release(struct ArrowSchema *schema)
{
    free(schema->private_data);
    free(schema->children);
    schema->release = NULL;
}

static void on_field_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static const char *const type_format[] = {
    [PST_BOOLEAN] = "b",    [PST_INT32] = "i", [PST_INTEGER] = "l", [PST_NUMBER] = "g",
    [PST_TIME] = "tsu:UTC", [PST_TEXT] = "u",  [PST_BINARY] = "z",  [PST_JSON] = "u",
    [PST_DATE] = "u",       [PST_UUID] = "u",  [PST_DECIMAL] = "u",
};
static const char *const type_kin[] = {
    [PST_JSON] = "json",
    [PST_DATE] = "date",
    [PST_UUID] = "uuid",
    [PST_DECIMAL] = "decimal",
};

/* Arrow's metadata encoding: count, then length and bytes of each key and value, all int32. */
static void field_metadata(char out[32], const char *kin)
{
    const int32_t one = 1, key_len = 8, value_len = (int32_t)strlen(kin);
    memcpy(out, &one, 4);
    memcpy(out + 4, &key_len, 4);
    static const char key[] = {'p', 's', 't', '.', 't', 'y', 'p', 'e'};
    memcpy(out + 8, key, sizeof key);
    memcpy(out + 16, &value_len, 4);
    memcpy(out + 20, kin, strlen(kin) + 1);
}

static bool schema_make(const pst_builder *b, struct ArrowSchema *out)
{
    size_t n = b->n_columns ? b->n_columns : 1;
    sent_field *fields = calloc(n, sizeof *fields);
    struct ArrowSchema **children = calloc(n, sizeof(struct ArrowSchema *));
    if (!fields || !children) {
        free(fields);
        free(children);
        return false;
    }
    for (uint32_t i = 0; i < b->n_columns; i++) {
        const builder_column *c = &b->columns[i];
        sent_field *f = &fields[i];
        memcpy(f->name, c->name, sizeof f->name);
        f->schema = (struct ArrowSchema){.format = type_format[c->type],
                                         .name = f->name,
                                         .flags = ARROW_FLAG_NULLABLE,
                                         .release = on_field_release};
        if (c->type >= PST_JSON) {
            field_metadata(f->metadata, type_kin[c->type]);
            f->schema.metadata = f->metadata;
        }
        children[i] = &f->schema;
    }
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = b->n_columns,
                                .children = children,
                                .release = on_schema_release,
                                .private_data = fields};
    return true;
}

static bool rejects_make(pst_builder *b, sent_array *s, pst_batch *out)
{
    size_t n = b->rejects.len / sizeof(pending_reject);
    if (!n)
        return true;
    s->rejects = calloc(n, sizeof *s->rejects);
    if (!s->rejects)
        return false;
    const pending_reject *from = (const pending_reject *)(void *)b->rejects.data;
    const char *texts = (const char *)b->texts.data;
    for (size_t i = 0; i < n; i++)
        s->rejects[i] = (pst_reject){.payload = {texts + from[i].payload, from[i].payload_len},
                                     .where = from[i].where == from[i].reason ? NULL : texts + from[i].where,
                                     .reason = texts + from[i].reason};
    s->texts = b->texts.data;
    b->texts = (buffer){0};
    b->rejects.len = 0;
    out->rejects = s->rejects;
    out->n_rejects = n;
    return true;
}

/* Moves the buffers of one column; an empty one points at a few zeros, so that no pointer is ever NULL. */
static void column_send(builder_column *c, sent_column *to, uint32_t rows)
{
    static const uint64_t nothing[1];
    bool text = type_is_text(c->type);
    buffer *parts[3] = {&c->valid, &c->values, &c->data};
    to->array = (struct ArrowArray){.length = rows,
                                    .null_count = c->nulls,
                                    .n_buffers = text ? 3 : 2,
                                    .buffers = to->buffers,
                                    .release = on_child_release};
    for (int k = 0; k < 3; k++) {
        to->owned[k] = parts[k]->data;
        to->buffers[k] = parts[k]->data ? (const void *)parts[k]->data : nothing;
        *parts[k] = (buffer){0};
    }
    if (!c->nulls)
        to->buffers[0] = NULL;
    c->nulls = 0;
    c->set = false;
}

static sent_array *sent_array_make(const pst_builder *b, const char *stream, pst_bytes cursor)
{
    sent_array *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    size_t n = b->n_columns ? b->n_columns : 1;
    s->columns = calloc(n, sizeof *s->columns);
    s->children = calloc(n, sizeof(struct ArrowArray *));
    s->stream = stream ? strdup(stream) : NULL;
    s->cursor = cursor.len ? malloc(cursor.len) : NULL;
    if (s->columns && s->children && (!stream || s->stream) && (!cursor.len || s->cursor)) {
        if (cursor.len)
            memcpy(s->cursor, cursor.data, cursor.len);
        return s;
    }
    sent_array_free(s, 0);
    return NULL;
}

pst_status pst_builder_finish(pst_builder *b, const char *stream, pst_bytes cursor, uint32_t flags,
                              pst_batch *out, pst_error *error)
{
    if (!PST_HAS(out, pst_batch, reserved))
        return pst_fail(error, PST_E_UNSUPPORTED, NULL,
                        "the host's batch is shorter than the first version's");
    if (b->wrong)
        return pst_fail(error, PST_E_INTERNAL, NULL, "column %s was given a value twice or of another type",
                        b->wrong);
    sent_array *s = b->failed ? NULL : sent_array_make(b, stream, cursor);
    if (!s || !rejects_make(b, s, out) || !schema_make(b, &out->schema)) {
        if (s)
            sent_array_free(s, 0);
        out->rejects = NULL;
        out->n_rejects = 0;
        return pst_fail(error, PST_E_RESOURCE, NULL, "the batch of %u rows does not fit into memory",
                        b->rows);
    }
    for (uint32_t i = 0; i < b->n_columns; i++) {
        column_send(&b->columns[i], &s->columns[i], b->rows);
        s->children[i] = &s->columns[i].array;
    }
    out->array = (struct ArrowArray){.length = b->rows,
                                     .n_buffers = 1,
                                     .buffers = s->no_validity,
                                     .n_children = b->n_columns,
                                     .children = s->children,
                                     .release = on_array_release,
                                     .private_data = s};
    out->flags = flags;
    out->stream = s->stream;
    out->cursor = (pst_bytes){s->cursor, cursor.len};
    b->rows = 0;
    return PST_OK;
}
