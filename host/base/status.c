/* Error texts are cut, never allocated: reporting a failure must not fail. */
#include "base/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Removes a UTF-8 sequence that the size limit cut in the middle. */
static void trim_partial_utf8(char *text)
{
    size_t len = strlen(text);
    size_t i = len;
    while (i > 0 && len - i < 4 && ((unsigned char)text[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)text[i - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (i - 1) < need)
        text[i - 1] = '\0';
}

static void format_cut(char *out, size_t cap, const char *fmt, va_list args)
{
    vsnprintf(out, cap, fmt, args);
    trim_partial_utf8(out);
}

status_class status_set(status *st, status_class class, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    st->class = class;
    st->where[0] = st->hint[0] = '\0';
    format_cut(st->text, sizeof st->text, fmt, args);
    va_end(args);
    return class;
}

status_class status_at(status *st, status_class class, const char *where, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    st->class = class;
    st->hint[0] = '\0';
    snprintf(st->where, sizeof st->where, "%s", where ? where : "");
    trim_partial_utf8(st->where);
    format_cut(st->text, sizeof st->text, fmt, args);
    va_end(args);
    return class;
}

status_class status_wrap(status *st, const char *fmt, ...)
{
    char old[sizeof st->text];
    char prefix[sizeof st->text];
    va_list args;
    va_start(args, fmt);
    memcpy(old, st->text, sizeof old);
    format_cut(prefix, sizeof prefix, fmt, args);
    va_end(args);
    int n = snprintf(st->text, sizeof st->text, "%s: %s", prefix, old);
    if (n >= (int)sizeof st->text)
        trim_partial_utf8(st->text);
    return st->class;
}

status_class status_hint(status *st, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    format_cut(st->hint, sizeof st->hint, fmt, args);
    va_end(args);
    return st->class;
}

static status_class class_of_errno(int error)
{
    switch (error) {
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
        return STATUS_DENIED;
    case EEXIST:
        return STATUS_CONFLICT;
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EDQUOT:
        return STATUS_LIMIT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN:
        return STATUS_UNAVAILABLE;
    case ETIMEDOUT:
        return STATUS_TIMEOUT;
    default:
        return STATUS_INTERNAL;
    }
}

status_class status_errno(status *st, int error, const char *what)
{
    char cause[96];
    return status_set(st, class_of_errno(error), "%s: %s", what, strerror_r(error, cause, sizeof cause));
}

const char *status_class_name(status_class class)
{
    static const char *const names[] = {"ok",        "invalid",     "not_found",   "conflict",
                                        "denied",    "limit",       "unavailable", "timeout",
                                        "cancelled", "unsupported", "internal"};
    return class >= STATUS_OK && class <= STATUS_INTERNAL ? names[class] : "unknown";
}
