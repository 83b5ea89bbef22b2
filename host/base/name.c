#include "base/name.h"

#include <stdio.h>
#include <string.h>

static bool lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool lower_or_digit(char c)
{
    return lower(c) || (c >= '0' && c <= '9');
}

static bool matches(const char *s, char joint)
{
    size_t len = strnlen(s, NAME_KEY_MAX + 1);
    if (len == 0 || len > NAME_KEY_MAX || !lower(s[0]))
        return false;
    for (size_t i = 1; i < len; i++) {
        bool joined = s[i] == joint && i + 1 < len && lower_or_digit(s[i + 1]);
        if (!lower_or_digit(s[i]) && !joined)
            return false;
    }
    return true;
}

bool name_is_key(const char *s)
{
    return matches(s, '_');
}

bool name_is_slug(const char *s)
{
    return matches(s, '-');
}

void name_key_from(const char *name, size_t len, const char *otherwise, char key_out[NAME_KEY_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < len && n < NAME_KEY_MAX; i++) {
        char c = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
        if (n == 0 ? lower(c) : lower_or_digit(c))
            key_out[n++] = c;
        else if (!lower_or_digit(c) && n > 0 && key_out[n - 1] != '_')
            key_out[n++] = '_';
    }
    n -= n > 0 && key_out[n - 1] == '_';
    key_out[n] = '\0';
    if (n == 0)
        snprintf(key_out, NAME_KEY_MAX + 1, "%s", otherwise);
}

enum { WORD_MAX = 64 };

/* Damerau–Levenshtein (adjacent swaps count one), one row at a time. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

const char *name_suggest(const char *word, const char *const *candidates, size_t n)
{
    size_t best = 2 + strnlen(word, WORD_MAX) / 4;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, candidates[i]);
        if (d < best) {
            best = d;
            found = candidates[i];
        }
    }
    return found;
}

uint64_t name_hash(const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t h = 0xCBF29CE484222325ULL;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 0x100000001B3ULL;
    h ^= h >> 32;
    return h * 0xD6E8FEB86659FD93ULL;
}
