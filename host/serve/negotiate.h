/* Small agreements between client and server that several resources share: media types, numbers, pages of a
 * list, entity tags, rate limit headers. Functions that return false or NULL have answered with a problem. */
#ifndef PENSTOCK_SERVE_NEGOTIATE_H
#define PENSTOCK_SERVE_NEGOTIATE_H
#include <stdbool.h>

#include "serve/http.h"

/* The offered type (one of the comma-separated `offered`, first = preferred) that the Accept header likes
 * best, as a literal out of the arena; NULL = none. No header accepts everything. Does not answer. */
const char *negotiate_type(const char *accept, const char *offered, arena *a);
/* Whether a Content-Type (parameters ignored) is in the list. */
bool negotiate_takes(const char *content_type, const char *taken);
/* ?int64=string: integers go out as strings. */
bool negotiate_int64_as_text(const http_request *r);

#define PAGE_LIMIT_DEFAULT 50
#define PAGE_LIMIT_MAX 500
typedef struct page_request {
    unsigned limit;
    /* what page_next was given for the page before, in the arena; NULL = from the beginning */
    const char *after;
} page_request;
/* Reads limit and cursor; answers 400 for a bad one. Cursors are opaque and bound to their route. */
bool page_request_read(http_request *r, page_request *page_out);
/* The cursor of the next page, in the arena; also sets the Link header. `last` is the last item's key, any
 * text. */
const char *page_next(http_request *r, const char *last);

/* Strong tag over the bytes of a representation or a generation number: "\"…\"" . */
void etag_make(const void *data, size_t len, char out[32]);
/* If-Match against the current tag: 412 when it differs. (Its absence was refused by the router.) */
bool etag_check(http_request *r, const char *current);
/* If-None-Match: true = answered 304. */
bool etag_unchanged(http_request *r, const char *current);

#endif
