/* One walk with expat: the text of the innermost element is collected, and taken when the element ends. Which
 * element counts is decided by its name and its parent's. */
#include "listing.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEPTH_MAX = 8, NAME_MAX_BYTES = 40, TEXT_MAX = 3 * LISTING_KEY_MAX + 1000 };

typedef struct walk {
    XML_Parser parser;
    listing_page *page;   /* or NULL */
    listing_fault *fault; /* or NULL */
    char names[DEPTH_MAX][NAME_MAX_BYTES];
    int depth;
    char text[TEXT_MAX];
    size_t len;
    bool listed, coded, truncated, sized, cut; /* cut: a text was too long to be what it should be */
    char key[LISTING_KEY_MAX], etag[LISTING_ETAG_MAX];
    listing_object object;
} walk;

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public_id,
                       int has)
{
    (void)name, (void)system, (void)public_id, (void)has;
    XML_StopParser(((walk *)arg)->parser, XML_FALSE);
}

static void on_text(void *arg, const XML_Char *text, int len)
{
    walk *w = arg;
    if (w->len + (size_t)len >= sizeof w->text) {
        w->cut = true;
        return;
    }
    memcpy(w->text + w->len, text, (size_t)len);
    w->len += (size_t)len;
}

static bool is_in(const walk *w, const char *parent, const char *name)
{
    return w->depth >= 2 && !strcmp(w->names[w->depth - 2], parent) && !strcmp(w->names[w->depth - 1], name);
}

static void on_begin(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    walk *w = arg;
    (void)attributes;
    w->len = 0;
    if (w->depth == DEPTH_MAX || strlen(name) >= NAME_MAX_BYTES) {
        XML_StopParser(w->parser, XML_FALSE);
        return;
    }
    snprintf(w->names[w->depth++], NAME_MAX_BYTES, "%s", name);
    if (w->depth == 1)
        w->listed = !strcmp(name, "ListBucketResult");
    if (is_in(w, "ListBucketResult", "Contents")) {
        w->object = (listing_object){.key = w->key, .etag = w->etag, .modified_us = INT64_MIN};
        w->sized = false;
        w->key[0] = w->etag[0] = '\0';
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* encoding-type=url is written as forms are: a plus is a blank. */
static void take_coded(walk *w, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *p = w->text; *p && n < cap; p++) {
        bool coded = w->coded && *p == '%' && digit(p[1]) >= 0 && digit(p[2]) >= 0;
        out[n++] = coded ? (char)(digit(p[1]) * 16 + digit(p[2])) : w->coded && *p == '+' ? ' ' : *p;
        p += coded ? 2 : 0;
    }
    w->cut = w->cut || n == cap;
    out[n == cap ? 0 : n] = '\0';
}

static void take(walk *w, char *out, size_t cap)
{
    bool fits = snprintf(out, cap, "%s", w->text) < (int)cap;
    w->cut = w->cut || !fits;
}

/* 2009-10-12T17:50:30.000Z */
static int64_t read_time(const char *text)
{
    struct tm t = {0};
    int ms = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min,
               &t.tm_sec, &ms) < 6)
        return INT64_MIN;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return (int64_t)timegm(&t) * 1000000 + ms * 1000;
}

static void end_of_object(walk *w)
{
    w->cut = w->cut || !w->key[0] || w->object.modified_us == INT64_MIN || !w->sized;
    if (!w->cut && w->page)
        w->page->on_object(w->page->arg, &w->object);
}

static void end_in_contents(walk *w)
{
    char *rest;
    if (is_in(w, "Contents", "Key")) {
        take_coded(w, w->key, sizeof w->key);
    } else if (is_in(w, "Contents", "ETag")) {
        take(w, w->etag, sizeof w->etag);
    } else if (is_in(w, "Contents", "LastModified")) {
        w->object.modified_us = read_time(w->text);
    } else if (is_in(w, "Contents", "Size")) {
        w->object.bytes = strtoull(w->text, &rest, 10);
        w->sized = w->text[0] >= '0' && w->text[0] <= '9' && !*rest;
    }
}

static void end_in_result(walk *w)
{
    char prefix[LISTING_KEY_MAX];
    if (is_in(w, "ListBucketResult", "Contents")) {
        end_of_object(w);
    } else if (is_in(w, "ListBucketResult", "IsTruncated")) {
        w->truncated = !strcmp(w->text, "true");
    } else if (is_in(w, "ListBucketResult", "NextContinuationToken") && w->page) {
        take(w, w->page->token, sizeof w->page->token);
    } else if (is_in(w, "CommonPrefixes", "Prefix") && w->page && w->page->on_prefix) {
        take_coded(w, prefix, sizeof prefix);
        w->page->on_prefix(w->page->arg, prefix);
    }
}

static void end_in_error(walk *w)
{
    listing_fault *f = w->fault;
    if (!f)
        return;
    if (is_in(w, "Error", "Code"))
        snprintf(f->code, sizeof f->code, "%s", w->text);
    else if (is_in(w, "Error", "Message"))
        snprintf(f->message, sizeof f->message, "%.199s", w->text);
    else if (is_in(w, "Error", "Region"))
        snprintf(f->region, sizeof f->region, "%.63s", w->text);
}

static void on_end(void *arg, const XML_Char *name)
{
    walk *w = arg;
    (void)name;
    w->text[w->len] = '\0';
    end_in_contents(w);
    end_in_result(w);
    end_in_error(w);
    w->depth--;
    w->len = 0;
}

static bool parse(walk *w, pst_bytes xml)
{
    bool ok = w->parser && xml.len <= INT32_MAX;
    if (ok) {
        XML_SetUserData(w->parser, w);
        XML_SetElementHandler(w->parser, on_begin, on_end);
        XML_SetCharacterDataHandler(w->parser, on_text);
        XML_SetStartDoctypeDeclHandler(w->parser, on_doctype);
        ok = XML_Parse(w->parser, xml.data, (int)xml.len, XML_TRUE) == XML_STATUS_OK;
    }
    XML_ParserFree(w->parser);
    return ok;
}

pst_status listing_read(pst_bytes xml, listing_page *page, pst_error *error)
{
    static const char coded[] = "<EncodingType>url<";
    walk *w = calloc(1, sizeof *w);
    if (!w)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a listing");
    w->parser = XML_ParserCreate(NULL);
    w->page = page;
    w->coded = memmem(xml.data, xml.len, coded, sizeof coded - 1) != NULL; /* it may stand behind the keys */
    page->more = false;
    page->token[0] = '\0';
    bool whole = parse(w, xml) && w->listed && !w->cut;
    bool torn = whole && w->truncated && !page->token[0];
    page->more = whole && w->truncated && !torn;
    free(w);
    if (torn)
        return pst_fail(error, PST_E_DATA, NULL, "a listing that goes on, and does not say where");
    return whole ? PST_OK : pst_fail(error, PST_E_DATA, NULL, "what is no listing of objects");
}

void listing_fault_read(pst_bytes xml, listing_fault *out)
{
    walk *w = calloc(1, sizeof *w);
    *out = (listing_fault){0};
    if (!w)
        return;
    w->parser = XML_ParserCreate(NULL);
    w->fault = out;
    if (xml.len)
        parse(w, xml);
    else
        XML_ParserFree(w->parser);
    free(w);
}
