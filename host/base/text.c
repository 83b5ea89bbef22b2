#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

void text_free(text *t)
{
    free(t->data);
    *t = (text){0};
}

void text_clear(text *t)
{
    t->len = 0;
    if (t->data)
        t->data[0] = '\0';
}

void text_reserve(text *t, size_t more)
{
    size_t need = t->len + more + 1;
    if (need <= t->cap)
        return;
    size_t cap = t->cap ? t->cap * 2 : 64;
    while (cap < need)
        cap *= 2;
    t->data = memory_grow(t->data, cap);
    t->cap = cap;
    t->data[t->len] = '\0';
}

void text_add_n(text *t, const void *data, size_t len)
{
    text_reserve(t, len);
    if (len)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_add(text *t, const char *s)
{
    text_add_n(t, s, strlen(s));
}

void text_add_char(text *t, char c)
{
    text_add_n(t, &c, 1);
}

void text_printf(text *t, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    text_reserve(t, (size_t)n);
    vsnprintf(t->data + t->len, (size_t)n + 1, fmt, again);
    va_end(again);
    t->len += (size_t)n;
}

/* A word with one bit of each byte. */
static const uint64_t ONES = 0x0101010101010101ULL, HIGHS = 0x8080808080808080ULL;

/* Length of the well-formed sequence at s, 0 if there is none (RFC 3629 table). */
static size_t utf8_sequence(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xC2 && s[0] <= 0xDF)
        return left >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        unsigned char low = s[0] == 0xE0 ? 0xA0 : 0x80, high = s[0] == 0xED ? 0x9F : 0xBF;
        return left >= 3 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        unsigned char low = s[0] == 0xF0 ? 0x90 : 0x80, high = s[0] == 0xF4 ? 0x8F : 0xBF;
        return left >= 4 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 && (s[3] & 0xC0) == 0x80 ? 4
                                                                                                          : 0;
    }
    return 0;
}

/* How many of the bytes are ASCII without U+0000, up to the first block with one that is not. */
static size_t plain_run(const unsigned char *s, size_t len)
{
    typedef int8_t lanes __attribute__((vector_size(16)));
    enum { BLOCK = 4 * sizeof(lanes) };
    size_t i = 0;
    for (; len - i >= BLOCK; i += BLOCK) {
        lanes part[4];
        uint64_t fine[2];
        memcpy(part, s + i, BLOCK);
        lanes all = (part[0] > 0) & (part[1] > 0) & (part[2] > 0) & (part[3] > 0);
        memcpy(fine, &all, sizeof fine);
        if ((fine[0] & fine[1]) != UINT64_MAX)
            break;
    }
    return i;
}

bool utf8_clean(const char *data, size_t len, bool *ascii_out)
{
    const unsigned char *s = (const unsigned char *)data;
    bool ascii = true;
    for (size_t i = plain_run(s, len); i < len;) {
        uint64_t word;
        if (len - i >= 8 && (memcpy(&word, s + i, 8), ((word | (word - ONES)) & HIGHS) == 0)) {
            i += 8;
            continue;
        }
        size_t n = s[i] ? utf8_sequence(s + i, len - i) : 0;
        if (n == 0)
            return false;
        ascii = ascii && n == 1;
        i += n;
        if (n > 1)
            i += plain_run(s + i, len - i);
    }
    *ascii_out = ascii;
    return true;
}

bool utf8_valid(const char *data, size_t len)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t i = 0;
    while (i < len) {
        uint64_t word;
        while (len - i >= 8 && (memcpy(&word, s + i, 8), (word & HIGHS) == 0))
            i += 8;
        if (i == len)
            break;
        size_t n = utf8_sequence(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static void add_escaped(text *t, unsigned char c)
{
    static const char short_forms[] = "btn_fr"; /* 8..13; 11 has none */
    if (c == '"' || c == '\\')
        text_add_n(t, (char[]){'\\', (char)c}, 2);
    else if (c >= 8 && c <= 13 && c != 11)
        text_add_n(t, (char[]){'\\', short_forms[c - 8]}, 2);
    else
        text_printf(t, "\\u%04x", c);
}

void text_add_json_string(text *t, const char *s, size_t len)
{
    text_add_char(t, '"');
    size_t i = 0, from = 0;
    while (i < len) {
        unsigned char c = (unsigned char)s[i];
        size_t n = utf8_sequence((const unsigned char *)s + i, len - i);
        if (n && c >= 0x20 && c != '"' && c != '\\') {
            i += n;
            continue;
        }
        text_add_n(t, s + from, i - from);
        if (n)
            add_escaped(t, c);
        else
            text_add(t, "\xEF\xBF\xBD");
        from = ++i;
    }
    text_add_n(t, s + from, len - from);
    text_add_char(t, '"');
}

void text_add_json_number(text *t, double value)
{
    char buffer[32];
    if (!isfinite(value)) {
        text_add(t, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buffer, sizeof buffer, "%.*g", digits, value);
        if (strtod(buffer, NULL) == value)
            break;
    }
    text_add(t, buffer);
}

char *text_take(text *t)
{
    text_reserve(t, 0);
    char *data = t->data;
    *t = (text){0};
    return data;
}

const char *text_or_empty(const text *t)
{
    return t->data ? t->data : "";
}
