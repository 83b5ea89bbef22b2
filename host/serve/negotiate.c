/* Parsing here is lenient where the RFCs are: what cannot be read in an Accept header counts as not said. */
#include "serve/negotiate.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "serve/problem.h"
#include "serve/route.h"

/* ---- media types ---- */

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* How well the range [range, len) fits the type: 3 exact, 2 "type/\*", 1 all, 0 not. */
static int range_fits(const char *range, size_t len, const char *type, size_t type_len)
{
    if (len == 3 && memcmp(range, "*/*", 3) == 0)
        return 1;
    if (len > 2 && range[len - 1] == '*' && range[len - 2] == '/')
        return type_len >= len - 1 && strncasecmp(range, type, len - 1) == 0 ? 2 : 0;
    return len == type_len && strncasecmp(range, type, len) == 0 ? 3 : 0;
}

static double quality_of(const char *range, size_t len)
{
    for (const char *at = range; (at = memchr(at, ';', (size_t)(range + len - at)));) {
        at = skip_blanks(at + 1);
        if (strncasecmp(at, "q=", 2) == 0)
            return strtod(at + 2, NULL);
    }
    return 1;
}

/* The quality of the most specific range that fits. */
static double accepts(const char *accept, const char *type, size_t type_len)
{
    int best_fit = 0;
    double quality = 0;
    for (const char *at = skip_blanks(accept); *at;) {
        size_t whole = strcspn(at, ",");
        size_t range = strcspn(at, ",; \t");
        int fit = range_fits(at, range, type, type_len);
        if (fit > best_fit) {
            best_fit = fit;
            quality = quality_of(at, whole);
        }
        at += whole;
        at = skip_blanks(at + (*at == ','));
    }
    return quality;
}

const char *negotiate_type(const char *accept, const char *offered, arena *a)
{
    const char *best = NULL;
    size_t best_len = 0;
    double best_quality = 0;
    for (const char *at = skip_blanks(offered); *at;) {
        size_t len = strcspn(at, ", ");
        double quality = accept && *accept ? accepts(accept, at, len) : 1;
        if (quality > best_quality) {
            best = at;
            best_len = len;
            best_quality = quality;
        }
        at += len;
        at += strspn(at, ", ");
    }
    return best ? arena_string_n(a, best, best_len) : NULL;
}

bool negotiate_takes(const char *content_type, const char *taken)
{
    size_t len = strcspn(content_type, "; \t");
    for (const char *at = taken; *at;) {
        size_t one = strcspn(at, ", ");
        if (range_fits(at, one, content_type, len))
            return true;
        at += one;
        at += strspn(at, ", ");
    }
    return false;
}

bool negotiate_int64_as_text(const http_request *r)
{
    const char *wish = http_request_query(r, "int64");
    return wish && strcmp(wish, "string") == 0;
}

/* ---- pages ---- */

enum { MARK = 6, CURSOR_MAX = 2048 };

static void cursor_mark(const http_request *r, const char *after, uint8_t mark[16])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, 16);
    const char *name = r->route ? r->route->name : "";
    crypto_generichash_update(&state, (const unsigned char *)name, strlen(name) + 1);
    crypto_generichash_update(&state, (const unsigned char *)after, strlen(after));
    crypto_generichash_final(&state, mark, 16);
}

static bool cursor_read(const http_request *r, const char *cursor, const char **after_out)
{
    size_t len = strlen(cursor), n;
    if (len > CURSOR_MAX)
        return false;
    uint8_t *plain = arena_alloc(r->arena, len + 1), mark[16];
    if (sodium_base642bin(plain, len, cursor, len, NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n < MARK)
        return false;
    plain[n] = 0;
    *after_out = (const char *)plain + MARK;
    cursor_mark(r, *after_out, mark);
    return memcmp(mark, plain, MARK) == 0 && strlen(*after_out) == n - MARK;
}

bool page_request_read(http_request *r, page_request *page)
{
    *page = (page_request){.limit = PAGE_LIMIT_DEFAULT};
    const char *limit = http_request_query(r, "limit"), *cursor = http_request_query(r, "cursor");
    if (limit) {
        char *end;
        long n = strtol(limit, &end, 10);
        if (*end || end == limit || n < 1 || n > PAGE_LIMIT_MAX) {
            problem_answer_text(r, 400, "limit is a number from 1 to %d", PAGE_LIMIT_MAX);
            return false;
        }
        page->limit = (unsigned)n;
    }
    if (cursor && !cursor_read(r, cursor, &page->after)) {
        problem_answer_text(r, 400, "cursor is not one that this list gave");
        return false;
    }
    return true;
}

/* The request's own query with the cursor exchanged. */
static void link_next(http_request *r, const char *cursor)
{
    text link = {0};
    text_printf(&link, "<%s?cursor=%s", r->raw_path, cursor);
    const char *query = strchr(r->target, '?');
    for (const char *at = query ? query + 1 : ""; *at;) {
        size_t len = strcspn(at, "&");
        if (len && strncmp(at, "cursor=", 7) != 0) {
            text_add_char(&link, '&');
            text_add_n(&link, at, len);
        }
        at += len + (at[len] == '&');
    }
    text_add(&link, ">; rel=\"next\"");
    http_header(r, "Link", link.data);
    text_free(&link);
}

const char *page_next(http_request *r, const char *last)
{
    size_t n = strlen(last) + MARK;
    uint8_t *plain = arena_alloc(r->arena, n), mark[16];
    cursor_mark(r, last, mark);
    memcpy(plain, mark, MARK);
    memcpy(plain + MARK, last, n - MARK);
    size_t coded = sodium_base64_encoded_len(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *cursor = arena_alloc(r->arena, coded);
    sodium_bin2base64(cursor, coded, plain, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    link_next(r, cursor);
    return cursor;
}

/* ---- entity tags ---- */

void etag_make(const void *data, size_t len, char out[32])
{
    uint8_t hash[16];
    crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
    char coded[32];
    sodium_bin2base64(coded, sizeof coded, hash, sizeof hash, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(out, 32, "\"%s\"", coded);
}

static bool tag_is_listed(const char *list, const char *tag, bool weak)
{
    size_t len = strlen(tag);
    for (const char *at = skip_blanks(list); *at;) {
        if (*at == '*')
            return true;
        const char *one = weak && strncmp(at, "W/", 2) == 0 ? at + 2 : at;
        if (strncmp(one, tag, len) == 0 && strchr(", \t", one[len]))
            return true;
        at += strcspn(at, ",");
        at = skip_blanks(at + (*at == ','));
    }
    return false;
}

bool etag_check(http_request *r, const char *current)
{
    const char *wanted = http_request_header(r, "If-Match");
    if (!wanted || tag_is_listed(wanted, current, false))
        return true;
    status st = {.class = STATUS_CONFLICT};
    status_set(&st, STATUS_CONFLICT, "the object has changed since it was read");
    status_hint(&st, "read it again and repeat the change with its new ETag");
    http_header(r, "ETag", current);
    problem_answer_as(r, 412, &st);
    return false;
}

bool etag_unchanged(http_request *r, const char *current)
{
    http_header(r, "ETag", current);
    const char *known = http_request_header(r, "If-None-Match");
    if (!known || !tag_is_listed(known, current, true))
        return false;
    http_answer(r, 304, NULL, NULL);
    return true;
}
