/* [{stream, title, example}]: the example is the beginning of an object as text, and the host makes a schema
 * of it. */
#include "discover.h"

#include <stdio.h>
#include <string.h>

enum { EXAMPLE_ROWS = 100, EXAMPLE_BYTES = 65536 };

typedef struct folders {
    char names[DISCOVER_STREAMS_MOST][LISTING_KEY_MAX];
    size_t n;
} folders;

static void on_prefix(void *arg, const char *prefix)
{
    folders *f = arg;
    if (f->n < DISCOVER_STREAMS_MOST)
        snprintf(f->names[f->n++], LISTING_KEY_MAX, "%s", prefix);
}

static void on_object(void *arg, const listing_object *o)
{
    (void)arg;
    (void)o;
}

/* Header, then records, a line each. */
static void write_example(const pst_batch *batch, bool csv, wording *w)
{
    pst_column payload, meta;
    size_t began = w->len;
    if (pst_column_find(&batch->schema, &batch->array, "_payload", &payload, NULL) ||
        pst_column_find(&batch->schema, &batch->array, "_meta", &meta, NULL))
        return;
    for (uint32_t i = 0; i < payload.rows && w->len - began < EXAMPLE_BYTES; i++) {
        pst_bytes record = pst_column_bytes(&payload, i), header = pst_column_bytes(&meta, i);
        if (csv && !i && header.len) {
            wording_add(w, WORDING_JSON, header.data, header.len);
            wording_add_text(w, WORDING_JSON, "\n");
        }
        wording_add(w, WORDING_JSON, record.data, record.len);
        wording_add_text(w, WORDING_JSON, "\n");
    }
}

static void batch_release(pst_batch *batch)
{
    if (batch->array.release)
        batch->array.release(&batch->array);
    if (batch->schema.release)
        batch->schema.release(&batch->schema);
}

/* The newest object below q->prefix. */
static pst_status write_stream(queue *q, reading *r, const char *stream, const pst_call *call, wording *w,
                               pst_error *error)
{
    bool whole = false;
    pst_batch batch = {.struct_size = sizeof batch};
    pst_status st = queue_list(q, call, &whole, error);
    if (st || !q->n)
        return st;
    reading_begin(r, q->items[0]->key, q->items[0]->etag, q->items[0]->bytes, 0);
    bool csv = r->cut.kind == CUTTER_CSV;
    st = reading_go(r, call, EXAMPLE_ROWS, error);
    st = st ? st : cutter_finish(&r->cut, NULL, (pst_bytes){NULL, 0}, &batch, error);
    reading_end(r);
    if (st)
        return st;
    wording_add_text(w, WORDING_PLAIN, w->len > 1 ? ",{\"stream\":\"" : "{\"stream\":\"");
    wording_add_text(w, WORDING_JSON, stream);
    wording_add_text(w, WORDING_PLAIN, "\",\"title\":\"");
    wording_add_text(w, WORDING_JSON, q->items[0]->key);
    wording_add_text(w, WORDING_PLAIN, "\",\"example\":\"");
    write_example(&batch, csv, w);
    wording_add_text(w, WORDING_PLAIN, "\"}");
    batch_release(&batch);
    return PST_OK;
}

static pst_status write_folders(bucket *b, queue *q, reading *r, const pst_call *call, wording *w,
                                pst_error *error)
{
    static folders found;
    static listing_page page;
    int64_t ignored;
    const char *prefix = q->prefix;
    bucket_page ask = {.prefix = prefix, .delimiter = "/"};
    page.on_object = on_object;
    page.on_prefix = on_prefix;
    page.arg = &found;
    found.n = 0;
    pst_status st = bucket_list(b, call, &ask, &page, &ignored, error);
    for (size_t i = 0; !st && i < found.n; i++) {
        char stream[LISTING_KEY_MAX];
        const char *below = found.names[i] + strlen(prefix);
        snprintf(stream, sizeof stream, "%.*s", (int)strcspn(below, "/"), below);
        q->prefix = found.names[i];
        st = write_stream(q, r, stream, call, w, error);
        queue_clear(q);
    }
    q->prefix = prefix;
    return st;
}

pst_status discover_write(bucket *b, queue *q, reading *r, bool streams, const pst_call *call,
                          pst_blob *json_out, pst_error *error)
{
    wording w = {0};
    bool newest = q->newest;
    q->newest = true;
    wording_add_text(&w, WORDING_PLAIN, "[");
    pst_status st =
        streams ? write_folders(b, q, r, call, &w, error) : write_stream(q, r, "", call, &w, error);
    wording_add_text(&w, WORDING_PLAIN, "]");
    queue_clear(q);
    q->newest = newest;
    if (!st && w.failed)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st)
        st = pst_blob_set(json_out, w.data, w.len, error);
    wording_free(&w);
    return st;
}
