/* Character classes as one table, and the walk over the head that MHD left behind. */
#include "serve/http_check.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static bool is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_token(unsigned char c)
{
    return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_name(const http_field *f)
{
    for (size_t i = 0; i < f->name_len; i++)
        if (!is_token((unsigned char)f->name[i]))
            return false;
    return f->name_len > 0;
}

static bool is_value(const http_field *f)
{
    for (size_t i = 0; i < f->value_len; i++) {
        unsigned char c = (unsigned char)f->value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

const char *http_check_layout(const char *version, const char *end, const http_field *fields, unsigned n,
                              int *status_out)
{
    static const char wrong[] = "the head holds a NUL, a folded line, or a line that does not end in CR LF";
    *status_out = 400;
    const char *at = version + strlen("HTTP/1.1");
    if (end - at < 4 || at[0] || at[1])
        return wrong;
    at += 2;
    for (unsigned i = 0; i < n; i++) {
        const http_field *f = &fields[i];
        if (f->name != at || f->name_len >= (size_t)(end - at) || f->name[f->name_len])
            return wrong;
        at += f->name_len + 1;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (f->value != at || f->value_len + 2 > (size_t)(end - at))
            return wrong;
        at += f->value_len;
        if (at[0] || at[1])
            return wrong;
        at += 2;
    }
    return end - at == 2 && !at[0] && !at[1] ? NULL : wrong;
}

static bool is_host(const http_field *f)
{
    for (size_t i = 0; i < f->value_len; i++) {
        unsigned char c = (unsigned char)f->value[i];
        if (!is_alnum(c) && !(c && strchr(".-_:[]", c)))
            return false;
    }
    return f->value_len > 0;
}

static bool is_named(const http_field *f, const char *name)
{
    return f->name_len == strlen(name) && strncasecmp(f->name, name, f->name_len) == 0;
}

static bool value_is(const http_field *f, const char *word)
{
    return f->value_len == strlen(word) && strncasecmp(f->value, word, f->value_len) == 0;
}

static const char *take_length(const http_field *f, http_framing *framing, int *status_out)
{
    if (framing->has_length)
        return "Content-Length is there twice";
    if (!f->value_len)
        return "Content-Length is empty";
    framing->has_length = true;
    for (size_t i = 0; i < f->value_len; i++) {
        char c = f->value[i];
        if (c < '0' || c > '9')
            return "Content-Length is not a number";
        if (framing->length > (UINT64_MAX - 9) / 10) {
            *status_out = 413;
            return "Content-Length is larger than any body may be";
        }
        framing->length = framing->length * 10 + (uint64_t)(c - '0');
    }
    return NULL;
}

static const char *take_coding(const http_field *f, bool http_1_1, bool refuse, http_framing *framing,
                               int *status_out)
{
    if (framing->chunked)
        return "Transfer-Encoding is there twice";
    framing->chunked = true;
    if (!http_1_1)
        return "Transfer-Encoding does not exist in HTTP/1.0";
    if (!value_is(f, "chunked")) {
        *status_out = 501;
        return "the only Transfer-Encoding offered is chunked";
    }
    return refuse ? "this listener does not take chunked bodies: send Content-Length" : NULL;
}

static const char *take_field(const http_field *f, bool http_1_1, bool refuse_chunked, unsigned *hosts,
                              http_framing *framing, int *status_out)
{
    if (!is_name(f))
        return "a header's name is not a token";
    if (!is_value(f))
        return "a header's value holds a control character";
    if (is_named(f, "host")) {
        ++*hosts;
        return is_host(f) ? NULL : "Host is not a host name";
    }
    if (is_named(f, "content-length"))
        return take_length(f, framing, status_out);
    if (is_named(f, "transfer-encoding"))
        return take_coding(f, http_1_1, refuse_chunked, framing, status_out);
    if (is_named(f, "expect")) {
        framing->expects_continue = true;
        if (!value_is(f, "100-continue")) {
            *status_out = 417;
            return "the only expectation understood is 100-continue";
        }
    }
    return NULL;
}

const char *http_check_fields(const http_field *fields, unsigned n, bool http_1_1, bool refuse_chunked,
                              http_framing *framing_out, int *status_out)
{
    *framing_out = (http_framing){0};
    *status_out = 400;
    unsigned hosts = 0;
    for (unsigned i = 0; i < n; i++) {
        const char *wrong = take_field(&fields[i], http_1_1, refuse_chunked, &hosts, framing_out, status_out);
        if (wrong)
            return wrong;
    }
    if (hosts > 1)
        return "Host is there twice";
    if (hosts == 0 && http_1_1)
        return "Host is missing";
    if (framing_out->chunked && framing_out->has_length)
        return "Content-Length and Transfer-Encoding contradict each other";
    return NULL;
}

char *http_unescape(arena *a, const char *s, size_t len, bool plus_is_blank)
{
    char *out = arena_alloc(a, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '%') {
            int high = len - i > 2 ? hex_value((unsigned char)s[i + 1]) : -1;
            int low = len - i > 2 ? hex_value((unsigned char)s[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return NULL;
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = plus_is_blank && s[i] == '+' ? ' ' : s[i];
        }
    }
    out[n] = 0;
    return utf8_valid(out, n) ? out : NULL;
}

static bool path_is_safe(const char *path)
{
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f || *p == '\\')
            return false;
    for (const char *p = path; *p;) {
        p += *p == '/';
        size_t len = strcspn(p, "/");
        if ((len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += len;
    }
    return true;
}

const char *http_check_target(const char *target, arena *a, char **raw_path_out, char **path_out,
                              char **query_out)
{
    if (target[0] != '/')
        return "the target is not a path";
    for (const char *p = target; *p; p++)
        if (!is_alnum((unsigned char)*p) && !strchr("-._~!$&'()*+,;=:@/?%[]|\"<>{}", *p))
            return "the target holds a character that must be escaped";
    size_t len = strcspn(target, "?");
    *raw_path_out = arena_string_n(a, target, len);
    *query_out = target[len] ? arena_string(a, target + len + 1) : NULL;
    *path_out = http_unescape(a, target, len, false);
    if (!*path_out)
        return "the path holds a broken escape";
    if (!path_is_safe(*path_out))
        return "the path holds a backslash, a control character or a dot segment";
    if (*query_out && !http_unescape(a, *query_out, strlen(*query_out), true))
        return "the query holds a broken escape";
    return NULL;
}
