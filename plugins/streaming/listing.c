/* Messages are kept as they will stand in the answer. The first object is also shown as the example of its
 * stream, as it came, since a JSON text is a part of a JSON text. */
#include "listing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/sink.h"

enum { NAME_MAX_BYTES = 256, TITLE_MAX = 160 };

typedef struct stream {
    char name[NAME_MAX_BYTES], title[TITLE_MAX];
    const char *schema;          /* NULL = not known */
    pst_text payloads, examples; /* members of the two lists */
    size_t n;
} stream;

struct listing {
    const pst_host *host;
    const pst_json_service *json; /* NULL = none: payloads are not looked into */
    stream streams[LISTING_STREAMS_MAX];
    size_t n;
};

listing *listing_create(const pst_host *host)
{
    listing *l = calloc(1, sizeof *l);
    if (l) {
        l->host = host;
        l->json = host->get_service(host, PST_SERVICE_JSON);
    }
    return l;
}

void listing_free(listing *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        pst_text_free(&l->streams[i].payloads);
        pst_text_free(&l->streams[i].examples);
    }
    free(l);
}

void listing_title(listing *l, int at, const char *title)
{
    if (at >= 0)
        snprintf(l->streams[at].title, TITLE_MAX, "%s", title);
}

void listing_schema(listing *l, int at, const char *schema)
{
    if (at >= 0)
        l->streams[at].schema = schema;
}

int listing_stream(listing *l, const char *name, const char *title)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->streams[i].name, name))
            return (int)i;
    if (l->n == LISTING_STREAMS_MAX || strlen(name) >= NAME_MAX_BYTES)
        return -1;
    snprintf(l->streams[l->n].name, NAME_MAX_BYTES, "%s", name);
    listing_title(l, (int)l->n, title);
    return (int)l->n++;
}

static void keep(stream *s, const void *payload, size_t len, const char *meta, bool object)
{
    pst_text_add_string(&s->payloads, s->n ? ",{\"payload\":" : "{\"payload\":");
    pst_text_add_json(&s->payloads, payload, len);
    if (meta) {
        pst_text_add_string(&s->payloads, ",\"meta\":");
        pst_text_add_json(&s->payloads, meta, strlen(meta));
    }
    pst_text_add_string(&s->payloads, "}");
    s->n++;
    if (!object)
        return;
    pst_text_add_string(&s->examples, s->examples.len ? "," : "");
    pst_text_add(&s->examples, payload, len);
}

bool listing_example(listing *l, int at, const void *payload, size_t len, const char *meta)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    pst_json *value = l->json ? l->json->parse(l->host, (pst_bytes){payload, len}, &ignored) : NULL;
    if (!value)
        return false;
    bool object = l->json->kind(value, "") == PST_JSON_OBJECT;
    if (at >= 0 && l->streams[at].n < LISTING_EXAMPLES_MAX && len <= LISTING_EXAMPLE_BYTES)
        keep(&l->streams[at], payload, len, meta, object);
    l->json->discard(value);
    return true;
}

bool listing_full(const listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->streams[i].n < LISTING_EXAMPLES_MAX)
            return false;
    return true;
}

/* ---- As JSON ---- */

static void put_list(pst_text *out, const char *name, const pst_text *members)
{
    if (!members->len)
        return;
    pst_text_add_string(out, name);
    pst_text_add(out, members->data, members->len);
    pst_text_add_string(out, "]");
    out->failed = out->failed || members->failed;
}

static void put_stream(pst_text *out, const stream *s)
{
    pst_text_add_string(out, "{\"stream\":");
    pst_text_add_json(out, s->name, strlen(s->name));
    pst_text_add_string(out, ",\"title\":");
    pst_text_add_json(out, s->title, strlen(s->title));
    if (s->schema) {
        pst_text_add_string(out, ",\"schema\":");
        pst_text_add_string(out, s->schema);
    }
    put_list(out, ",\"payloads\":[", &s->payloads);
    put_list(out, ",\"example\":[", &s->examples);
    pst_text_add_string(out, "}");
}

pst_status listing_finish(const listing *l, pst_blob *json_out, pst_error *error)
{
    pst_text out = {0};
    pst_text_add_string(&out, "[");
    for (size_t i = 0; i < l->n; i++) {
        pst_text_add_string(&out, i ? "," : "");
        put_stream(&out, &l->streams[i]);
    }
    pst_text_add_string(&out, "]");
    pst_status st = out.failed ? pst_fail(error, PST_E_RESOURCE, NULL, "no memory for what was found")
                               : pst_blob_set(json_out, out.data, out.len, error);
    pst_text_free(&out);
    return st;
}
