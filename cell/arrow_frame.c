/* Reading makes Arrow structs whose buffers lie in the frame; writing copies the plugin's buffers, once. The
 * cell only keeps itself from reading outside what the plugin declares; the host checks what the values say.
 */
#include "cell/arrow_frame.h"

#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

typedef struct input_column {
    struct ArrowSchema schema;
    struct ArrowArray array;
    const void *buffers[3];
    char metadata[32];
} input_column;

typedef struct input_batch {
    struct ArrowSchema schema, *fields[PST_COLUMNS_MAX];
    struct ArrowArray array, *children[PST_COLUMNS_MAX];
    const void *no_validity[1];
    input_column columns[];
} input_batch;

static const char *format_of(pst_type type)
{
    static const char *const formats[] = {
        [PST_BOOLEAN] = "b",    [PST_INT32] = "i", [PST_INTEGER] = "l", [PST_NUMBER] = "g",
        [PST_TIME] = "tsu:UTC", [PST_TEXT] = "u",  [PST_BINARY] = "z",  [PST_JSON] = "u",
        [PST_DATE] = "u",       [PST_UUID] = "u",  [PST_DECIMAL] = "u"};
    return type >= PST_BOOLEAN && type <= PST_DECIMAL ? formats[type] : NULL;
}

static const char *metadata_make(char out[32], pst_type type)
{
    static const char *const kin[] = {
        [PST_JSON] = "json", [PST_DATE] = "date", [PST_UUID] = "uuid", [PST_DECIMAL] = "decimal"};
    if (type < PST_JSON)
        return NULL;
    const int32_t one = 1, key_len = 8, value_len = (int32_t)strlen(kin[type]);
    memcpy(out, &one, 4);
    memcpy(out + 4, &key_len, 4);
    static const char key[] = {'p', 's', 't', '.', 't', 'y', 'p', 'e'};
    memcpy(out + 8, key, sizeof key);
    memcpy(out + 16, &value_len, 4);
    memcpy(out + 20, kin[type], strlen(kin[type]) + 1);
    return out;
}

/* The release of what is only borrowed. */
static void on_array_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void on_schema_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static bool column_read(frame_reader *r, uint32_t rows, input_column *c)
{
    frame_item head, valid, values, data = {0};
    if (!frame_take(r, FRAME_COLUMN, &head) || !frame_take(r, FRAME_VALID, &valid) ||
        !frame_take(r, FRAME_VALUES, &values))
        return false;
    pst_type type = (pst_type)head.aux;
    const char *name = frame_item_text(&head), *format = format_of(type);
    bool text = type >= PST_TEXT;
    if (!name || !format || (text && !frame_take(r, FRAME_DATA, &data)))
        return false;
    c->schema = (struct ArrowSchema){.format = format,
                                     .name = name,
                                     .metadata = metadata_make(c->metadata, type),
                                     .flags = ARROW_FLAG_NULLABLE,
                                     .release = on_schema_release};
    c->buffers[0] = valid.len ? valid.data : NULL;
    c->buffers[1] = values.data;
    c->buffers[2] = data.data;
    c->array = (struct ArrowArray){.length = rows,
                                   .null_count = valid.len ? -1 : 0,
                                   .n_buffers = text ? 3 : 2,
                                   .buffers = c->buffers,
                                   .release = on_array_release};
    return true;
}

static input_batch *batch_read(frame_reader *r, const frame_item *head, const char **name_out)
{
    frame_batch shape;
    if (head->len <= sizeof shape || ((const char *)head->data)[head->len - 1])
        return NULL;
    memcpy(&shape, head->data, sizeof shape);
    *name_out = (const char *)head->data + sizeof shape;
    if (shape.n_columns > PST_COLUMNS_MAX)
        return NULL;
    input_batch *b = calloc(1, sizeof *b + shape.n_columns * sizeof b->columns[0]);
    if (!b)
        return NULL;
    for (uint32_t i = 0; i < shape.n_columns; i++) {
        if (!column_read(r, shape.n_rows, &b->columns[i])) {
            free(b);
            return NULL;
        }
        b->fields[i] = &b->columns[i].schema;
        b->children[i] = &b->columns[i].array;
    }
    b->schema = (struct ArrowSchema){.format = "+s",
                                     .name = "",
                                     .n_children = shape.n_columns,
                                     .children = b->fields,
                                     .release = on_schema_release};
    b->array = (struct ArrowArray){.length = shape.n_rows,
                                   .n_buffers = 1,
                                   .buffers = b->no_validity,
                                   .n_children = shape.n_columns,
                                   .children = b->children,
                                   .release = on_array_release};
    return b;
}

bool arrow_inputs_read(frame_reader *r, arrow_inputs *out)
{
    frame_item head;
    while (frame_take(r, FRAME_BATCH, &head)) {
        const char *name = NULL;
        input_batch *b = out->n < ARROW_INPUTS_MAX ? batch_read(r, &head, &name) : NULL;
        if (!b)
            return false;
        out->memory[out->n] = b;
        out->items[out->n++] = (pst_input){.name = name, .schema = &b->schema, .array = &b->array};
    }
    return !r->broken;
}

void arrow_inputs_free(arrow_inputs *inputs)
{
    for (size_t i = 0; i < inputs->n; i++)
        free(inputs->memory[i]);
    inputs->n = 0;
}

/* ---- What a plugin hands over ---- */

void arrow_batch_release(pst_batch *b)
{
    if (b->array.release)
        b->array.release(&b->array);
    if (b->schema.release)
        b->schema.release(&b->schema);
}

static size_t values_bytes(const pst_column *c)
{
    switch (c->type) {
    case PST_BOOLEAN:
        return ((size_t)c->rows + 7) / 8;
    case PST_INT32:
        return (size_t)c->rows * 4;
    case PST_INTEGER:
    case PST_NUMBER:
    case PST_TIME:
        return (size_t)c->rows * 8;
    default:
        return ((size_t)c->rows + 1) * sizeof(int32_t);
    }
}

static void column_write(frame_writer *w, const pst_column *c)
{
    static const int32_t no_rows;
    bool text = c->type >= PST_TEXT;
    frame_put(w, FRAME_COLUMN, (uint32_t)c->type, c->name, strlen(c->name) + 1);
    frame_put(w, FRAME_VALID, 0, c->valid, c->valid ? ((size_t)c->rows + 7) / 8 : 0);
    if (!text) {
        frame_put(w, FRAME_VALUES, 0, c->values, values_bytes(c));
        return;
    }
    const int32_t *offsets = c->rows ? c->offsets : &no_rows;
    int32_t end = offsets[c->rows];
    frame_put(w, FRAME_VALUES, 0, offsets, values_bytes(c));
    frame_put(w, FRAME_DATA, 0, c->data, end > 0 && c->data ? (size_t)end : 0);
}

static pst_status columns_write(frame_writer *w, const pst_batch *b, pst_error *error)
{
    const struct ArrowArray *top = &b->array;
    bool fine = top->release && b->schema.release && top->offset == 0 && top->length >= 0 &&
                top->length <= INT32_MAX && top->n_children == b->schema.n_children && top->n_children >= 0 &&
                top->n_children <= PST_COLUMNS_MAX && b->schema.format && !strcmp(b->schema.format, "+s");
    if (!fine)
        return pst_fail(error, PST_E_INTERNAL, NULL, "the plugin's batch is no struct of columns");
    frame_batch shape = {.n_rows = (uint32_t)top->length, .n_columns = (uint32_t)top->n_children};
    char head[sizeof shape + 1] = {0};
    memcpy(head, &shape, sizeof shape);
    frame_put(w, FRAME_BATCH, b->flags, head, sizeof head);
    for (uint32_t i = 0; i < shape.n_columns; i++) {
        pst_column c;
        if (pst_column_at(&b->schema, top, i, &c, error) != PST_OK)
            return PST_E_INTERNAL;
        column_write(w, &c);
    }
    return PST_OK;
}

pst_status arrow_batch_write(frame_writer *w, pst_batch *b, pst_error *error)
{
    frame_put_text(w, FRAME_STREAM, b->stream);
    if (b->cursor.len)
        frame_put(w, FRAME_CURSOR, 0, b->cursor.data, b->cursor.len);
    for (size_t i = 0; i < b->n_rejects && !w->failed; i++) {
        const pst_reject *r = &b->rejects[i];
        frame_put(w, FRAME_REJECT, 0, r->payload.data, r->payload.len);
        frame_put_text(w, FRAME_WHERE, r->where ? r->where : "");
        frame_put_text(w, FRAME_REASON, r->reason ? r->reason : "");
    }
    pst_status status = columns_write(w, b, error);
    if (status == PST_OK && w->failed)
        status = pst_fail(error, PST_E_RESOURCE, NULL, "the batch is larger than %lu MiB",
                          WIRE_ARENA_TO_HOST_MAX >> 20);
    arrow_batch_release(b);
    return status;
}
