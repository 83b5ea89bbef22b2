#include "facts.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SEPARATOR '\x1f'

static size_t sequence_len(unsigned char first)
{
    return first < 0x80                    ? 1
           : first >= 0xc2 && first < 0xe0 ? 2
           : first >= 0xe0 && first < 0xf0 ? 3
           : first >= 0xf0 && first < 0xf5 ? 4
                                           : 0;
}

/* Well-formed UTF-8 without control characters. Surrogates and overlong forms are no text either. */
static bool is_text(const unsigned char *s, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        n = sequence_len(s[i]);
        if (!n || n > len - i || s[i] < ' ' || s[i] == 0x7f)
            return false;
        for (size_t k = 1; k < n; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        unsigned second = n > 1 ? s[i + 1] : 0;
        if ((s[i] == 0xe0 && second < 0xa0) || (s[i] == 0xed && second > 0x9f) ||
            (s[i] == 0xf0 && second < 0x90) || (s[i] == 0xf4 && second > 0x8f))
            return false;
    }
    return true;
}

void facts_begin(facts *f, const char *topic, size_t len)
{
    f->len = len < FACTS_MAX ? len : FACTS_MAX;
    bool text = is_text((const unsigned char *)topic, f->len);
    for (size_t i = 0; i < f->len; i++)
        f->text[i] = (char)(text || (topic[i] >= ' ' && topic[i] < 0x7f) ? topic[i] : '?');
    f->text[f->len] = '\0';
}

static bool begin(facts *f, const char *name, const char *suffix, size_t value_len)
{
    size_t head = 1 + strlen(name) + strlen(suffix) + 1;
    if (head + value_len > FACTS_MAX - f->len || !is_text((const unsigned char *)name, strlen(name)) ||
        strchr(name, '='))
        return false;
    f->len += (size_t)snprintf(f->text + f->len, head + 1, "%c%s%s=", SEPARATOR, name, suffix);
    return true;
}

static void add_hex(facts *f, const char *name, const unsigned char *value, size_t len)
{
    if (!begin(f, name, "_hex", 2 * len))
        return;
    for (size_t i = 0; i < len; i++)
        f->len += (size_t)snprintf(f->text + f->len, 3, "%02x", value[i]);
}

void facts_add(facts *f, const char *name, const void *value, size_t len)
{
    if (!is_text(value, len)) {
        add_hex(f, name, value, len);
    } else if (begin(f, name, "", len)) {
        if (len)
            memcpy(f->text + f->len, value, len);
        f->len += len;
        f->text[f->len] = '\0';
    }
}

void facts_add_number(facts *f, const char *name, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    facts_add(f, name, text, (size_t)len);
}
