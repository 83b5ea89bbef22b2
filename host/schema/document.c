/* Integers that jansson would refuse are given a fraction before it sees them; everything else is its work.
 */
#include "schema/document.h"

#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "base/text.h"

#define SAFE_DIGITS 18 /* 999,999,999,999,999,999 fits int64 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end)
            p++;
    return p < end ? p + 1 : end;
}

/* Does the run of more than SAFE_DIGITS digits [from, to) fit int64? Runs of 19 digits may. */
static bool fits(const char *from, const char *to)
{
    return to - from == 19 && memcmp(from, "9223372036854775807", 19) <= 0;
}

/* Copies the text with ".0" after each integer that does not fit; false if there is none. */
static bool widen_integers(const char *data, size_t len, text *out)
{
    const char *end = data + len, *copied = data;
    for (const char *p = data; p < end;) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (!is_digit(*p)) {
            p++;
            continue;
        }
        const char *from = p;
        while (p < end && is_digit(*p))
            p++;
        bool fraction =
            from > data && (from[-1] == '.' || from[-1] == 'e' || from[-1] == 'E' || from[-1] == '+');
        bool longer = p < end && (*p == '.' || *p == 'e' || *p == 'E');
        if (p - from <= SAFE_DIGITS || fraction || longer || fits(from, p))
            continue;
        text_add_n(out, copied, (size_t)(p - copied));
        text_add(out, ".0");
        copied = p;
    }
    if (copied == data)
        return false;
    text_add_n(out, copied, (size_t)(end - copied));
    return true;
}

json_t *document_parse(const char *data, size_t len, status *st)
{
    text wide = {0};
    json_error_t error;
    if (len > DOCUMENT_BYTES_MAX) {
        status_set(st, STATUS_LIMIT, "JSON document: %zu bytes, at most %u", len, DOCUMENT_BYTES_MAX);
        return NULL;
    }
    bool widened = widen_integers(data, len, &wide);
    json_t *parsed = json_loadb(widened ? wide.data : data, widened ? wide.len : len,
                                JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    text_free(&wide);
    if (!parsed) {
        char where[48];
        snprintf(where, sizeof where, "%d:%d", error.line, error.column);
        status_at(st, STATUS_INVALID, where, "JSON document: %s", error.text);
    }
    return parsed;
}

json_t *document_read(const char *path, status *st)
{
    text content = {0};
    if (disk_read(path, DOCUMENT_BYTES_MAX, &content, st) != STATUS_OK)
        return NULL;
    json_t *parsed = document_parse(text_or_empty(&content), content.len, st);
    text_free(&content);
    if (!parsed)
        status_wrap(st, "%s", path);
    return parsed;
}
