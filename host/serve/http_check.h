/* The server's own checks of a request's head, as functions of bytes alone. libmicrohttpd is lenient in
 * several places even in its strictest mode; whatever passes here has one meaning only, for us and for any
 * proxy before us. Each returns NULL, or what is wrong (a literal) with the HTTP status in *status_out. */
#ifndef PENSTOCK_SERVE_HTTP_CHECK_H
#define PENSTOCK_SERVE_HTTP_CHECK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "serve/http.h"

typedef struct http_field {
    const char *name, *value;
    size_t name_len, value_len;
} http_field;

/* The head as it lies in memory after MHD cut it up in place: each ':' that ended a name and each CR LF
 * became NULs. Walking it from the version to the end finds every NUL, folded line, bare LF and bare CR that
 * was sent: after any of them a field does not stand where the one before it ended. */
const char *http_check_layout(const char *version, const char *end, const http_field *fields, unsigned n,
                              int *status_out);

typedef struct http_framing {
    bool chunked, has_length;
    uint64_t length;
    bool expects_continue;
} http_framing;
/* Names, values, Host, Content-Length, Transfer-Encoding, Expect. */
const char *http_check_fields(const http_field *fields, unsigned n, bool http_1_1, bool refuse_chunked,
                              http_framing *framing_out, int *status_out);

/* Origin form only; the path without backslash, dot segments (also escaped), control characters and broken
 * escapes. *path_out is the unescaped path, *query_out the raw query or NULL, both in the arena. */
const char *http_check_target(const char *target, arena *a, char **raw_path_out, char **path_out,
                              char **query_out);
#endif
