/* Payloads are kept as they came, since a JSON text is a part of a JSON text. */
#include "listing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 256, TITLE_MAX = 160, OUT_MAX = 4 * 1024 * 1024 };

typedef struct stream {
    char name[NAME_MAX_BYTES], title[TITLE_MAX];
    char *examples[LISTING_EXAMPLES_MAX];
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
    for (size_t i = 0; l && i < l->n; i++)
        for (size_t k = 0; k < l->streams[i].n; k++)
            free(l->streams[i].examples[k]);
    free(l);
}

int listing_stream(listing *l, const char *name, const char *title)
{
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->streams[i].name, name))
            return (int)i;
    if (l->n == LISTING_STREAMS_MAX || strlen(name) >= NAME_MAX_BYTES)
        return -1;
    stream *s = &l->streams[l->n++];
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->title, sizeof s->title, "%s", title);
    return (int)l->n - 1;
}

void listing_example(listing *l, int at, const void *payload, size_t len)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    if (at < 0 || !l->json || l->streams[at].n == LISTING_EXAMPLES_MAX || len > LISTING_EXAMPLE_BYTES)
        return;
    pst_json *value = l->json->parse(l->host, (pst_bytes){payload, len}, &ignored);
    int32_t kind = l->json->kind(value, "");
    stream *s = &l->streams[at];
    if (kind == PST_JSON_OBJECT)
        s->examples[s->n] = strndup(payload, len);
    s->n += s->examples[s->n] != NULL;
    l->json->discard(value);
}

bool listing_full(const listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->streams[i].n < LISTING_EXAMPLES_MAX)
            return false;
    return true;
}

/* ---- As JSON ---- */

typedef struct writer {
    char *text;
    size_t len;
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(w->text + w->len, OUT_MAX - w->len, format, args);
    va_end(args);
    w->len += n > 0 && w->len + (size_t)n < OUT_MAX ? (size_t)n : 0;
}

static void put_text(writer *w, const char *text)
{
    put(w, "\"");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ')
            put(w, "\\u%04x", (unsigned)*c);
        else
            put(w, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    put(w, "\"");
}

static void put_stream(writer *w, const stream *s)
{
    put(w, "{\"stream\":");
    put_text(w, s->name);
    put(w, ",\"title\":");
    put_text(w, s->title);
    for (size_t k = 0; k < s->n; k++)
        put(w, "%s%s", k ? "," : ",\"example\":[", s->examples[k]);
    put(w, s->n ? "]}" : "}");
}

pst_status listing_finish(const listing *l, pst_blob *json_out, pst_error *error)
{
    writer w = {malloc(OUT_MAX), 0};
    if (!w.text)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for what was found");
    put(&w, "[");
    for (size_t i = 0; i < l->n; i++) {
        put(&w, i ? "," : "");
        put_stream(&w, &l->streams[i]);
    }
    put(&w, "]");
    pst_status st = pst_blob_set(json_out, w.text, w.len, error);
    free(w.text);
    return st;
}
