/* Bytes as a request's target and as its head: the first line is the target, each other one a field as the
 * library hands it over, cut in place. What passes has one meaning: a path without a way up, at most one
 * length, and either a length or chunks. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS_MAX = 32, HEAD_START = 10 }; /* "HTTP/1.1" and its two NULs */

static void check_target(const char *target)
{
    arena *a = arena_create(0);
    char *raw = NULL, *path = NULL, *query = NULL;
    if (!http_check_target(target, a, &raw, &path, &query)) {
        assert(path[0] == '/' && raw[0] == '/' && strlen(path) <= strlen(raw));
        assert(!strstr(path, "/../") && !strchr(path, '\\'));
        size_t len = strlen(path);
        assert(len < 3 || strcmp(path + len - 3, "/..") != 0);
        assert(!query || strlen(raw) + 1 + strlen(query) == strlen(target));
    }
    arena_free(a);
}

/* Cuts "name: value CR LF" lines in place: the colon and each CR LF become NULs. */
static unsigned cut(char *at, char *end, http_field *fields)
{
    unsigned n = 0;
    while (n < FIELDS_MAX && at < end) {
        char *line = memchr(at, '\n', (size_t)(end - at));
        char *stop = line ? line : end;
        char *colon = memchr(at, ':', (size_t)(stop - at));
        char *value = colon ? colon + 1 : stop;
        while (value < stop && (*value == ' ' || *value == '\t'))
            value++;
        char *value_end = stop > value && stop[-1] == '\r' ? stop - 1 : stop;
        fields[n++] =
            (http_field){at, value, (size_t)((colon ? colon : stop) - at), (size_t)(value_end - value)};
        if (colon)
            *colon = '\0';
        if (line)
            *line = '\0';
        if (value_end < stop)
            *value_end = '\0';
        at = line ? line + 1 : end;
    }
    return n;
}

static void check_fields(const http_field *fields, unsigned n)
{
    http_framing framing;
    int code = 0;
    for (int version = 0; version < 2; version++) {
        const char *wrong = http_check_fields(fields, n, version, false, &framing, &code);
        assert(!wrong || (code >= 400 && code < 600));
        if (!wrong) {
            assert(!(framing.chunked && framing.has_length));
            assert(version || !framing.chunked);
        }
        if (!http_check_fields(fields, n, version, true, &framing, &code))
            assert(!framing.chunked);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = memchr(data, '\n', size);
    size_t target_len = line ? (size_t)(line - data) : size, rest = line ? size - target_len - 1 : 0;
    char *target = calloc(1, target_len + 1), *head = calloc(1, HEAD_START + rest);
    http_field fields[FIELDS_MAX];
    int code;
    memcpy(target, data, target_len);
    check_target(target);
    memcpy(head, "HTTP/1.1", 8);
    if (rest)
        memcpy(head + HEAD_START, line + 1, rest);
    unsigned n = cut(head + HEAD_START, head + HEAD_START + rest, fields);
    http_check_layout(head, head + HEAD_START + rest, fields, n, &code);
    check_fields(fields, n);
    free(target);
    free(head);
    return 0;
}
