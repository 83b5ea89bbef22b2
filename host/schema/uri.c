#include "schema/uri.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

typedef struct part {
    const char *at; /* NULL = absent */
    size_t len;
} part;

typedef struct uri_parts {
    part scheme, authority, path, query, fragment;
} uri_parts;

static part part_to(const char *from, const char *to)
{
    return (part){.at = from, .len = (size_t)(to - from)};
}

/* The regular expression of RFC 3986 appendix B, by hand. */
static uri_parts uri_parse(const char *s)
{
    uri_parts u = {0};
    size_t n = strcspn(s, ":/?#");
    if (n > 0 && s[n] == ':' && isalpha((unsigned char)s[0])) {
        u.scheme = part_to(s, s + n);
        s += n + 1;
    }
    if (s[0] == '/' && s[1] == '/') {
        n = strcspn(s + 2, "/?#");
        u.authority = part_to(s + 2, s + 2 + n);
        s += 2 + n;
    }
    n = strcspn(s, "?#");
    u.path = part_to(s, s + n);
    s += n;
    if (*s == '?') {
        n = strcspn(s, "#");
        u.query = part_to(s + 1, s + n);
        s += n;
    }
    if (*s == '#')
        u.fragment = part_to(s + 1, s + strlen(s));
    return u;
}

/* "remove dot segments": segments are pushed on `out` and popped by "..". */
static size_t remove_dots(const char *in, size_t len, char *out)
{
    size_t n = 0;
    const char *p = in, *end = in + len;
    while (p < end) {
        const char *segment = p + (*p == '/');
        const char *stop = segment;
        while (stop < end && *stop != '/')
            stop++;
        size_t size = (size_t)(stop - segment);
        bool dot = size == 1 && segment[0] == '.', up = size == 2 && segment[0] == '.' && segment[1] == '.';
        if (up)
            while (n > 0 && out[--n] != '/')
                ;
        if ((dot || up) && stop == end)
            out[n++] = '/';
        if (!dot && !up) {
            memcpy(out + n, p, (size_t)(stop - p));
            n += (size_t)(stop - p);
        }
        p = stop;
    }
    return n;
}

static part path_merge(arena *a, const uri_parts *base, part path)
{
    size_t keep = base->path.len;
    while (keep > 0 && base->path.at[keep - 1] != '/')
        keep--;
    bool slash = base->authority.at && base->path.len == 0;
    char *merged = arena_alloc(a, keep + path.len + 2);
    size_t n = 0;
    if (slash)
        merged[n++] = '/';
    memcpy(merged + n, base->path.at, keep);
    memcpy(merged + n + keep, path.at, path.len);
    return (part){.at = merged, .len = n + keep + path.len};
}

static char *uri_join(arena *a, const uri_parts *u, bool dots)
{
    size_t size = u->scheme.len + u->authority.len + u->path.len + u->query.len + u->fragment.len + 8, n = 0;
    char *out = arena_alloc(a, size);
    if (u->scheme.at) {
        memcpy(out, u->scheme.at, u->scheme.len);
        n = u->scheme.len;
        out[n++] = ':';
    }
    if (u->authority.at) {
        out[n++] = '/';
        out[n++] = '/';
        memcpy(out + n, u->authority.at, u->authority.len);
        n += u->authority.len;
    }
    if (dots) {
        n += remove_dots(u->path.at, u->path.len, out + n);
    } else {
        memcpy(out + n, u->path.at, u->path.len);
        n += u->path.len;
    }
    if (u->query.at) {
        out[n++] = '?';
        memcpy(out + n, u->query.at, u->query.len);
        n += u->query.len;
    }
    if (u->fragment.at) {
        out[n++] = '#';
        memcpy(out + n, u->fragment.at, u->fragment.len);
        n += u->fragment.len;
    }
    out[n] = '\0';
    return out;
}

char *uri_resolve(arena *a, const char *base_text, const char *reference)
{
    uri_parts base = uri_parse(base_text), r = uri_parse(reference);
    if (r.scheme.at)
        return uri_join(a, &r, r.authority.at != NULL);
    r.scheme = base.scheme;
    if (r.authority.at)
        return uri_join(a, &r, true);
    r.authority = base.authority;
    if (r.path.len == 0) {
        r.path = base.path;
        if (!r.query.at)
            r.query = base.query;
        return uri_join(a, &r, false);
    }
    if (r.path.at[0] != '/')
        r.path = path_merge(a, &base, r.path);
    return uri_join(a, &r, true);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *uri_split_fragment(arena *a, char *uri)
{
    char *hash = strchr(uri, '#');
    if (!hash)
        return "";
    *hash = '\0';
    char *out = arena_string(a, hash + 1), *to = out;
    for (const char *from = out; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_value(from[1]), low = high < 0 ? -1 : hex_value(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return NULL;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return out;
}
