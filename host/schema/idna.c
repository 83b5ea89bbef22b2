#include "schema/idna.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/pattern.h"

#define LABEL_MAX 63

/* ---- Punycode (RFC 3492) */

static uint32_t punycode_adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / 700 : delta / 2;
    delta += delta / points;
    for (; delta > 455; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

static int punycode_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0' + 26;
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

/* One generalised variable-length integer added to *i. */
static bool punycode_integer(const char **p, const char *end, uint32_t bias, uint32_t *i)
{
    uint64_t sum = *i, weight = 1;
    for (uint32_t k = 36;; k += 36) {
        int digit = *p < end ? punycode_digit(*(*p)++) : -1;
        if (digit < 0)
            return false;
        sum += (uint64_t)digit * weight;
        if (sum > 0x7fffffff)
            return false;
        uint32_t threshold = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;
        if ((uint32_t)digit < threshold)
            break;
        weight *= 36 - threshold;
        if (weight > 0x7fffffff)
            return false;
    }
    *i = (uint32_t)sum;
    return true;
}

/* Code points of the text after "xn--"; their number, 0 if it is not Punycode of something beyond ASCII. */
static size_t punycode_decode(const char *s, size_t len, uint32_t out[LABEL_MAX])
{
    size_t n = 0, dash = len;
    while (dash > 0 && s[dash - 1] != '-')
        dash--;
    for (size_t k = 0; dash && k + 1 < dash; k++) {
        if ((unsigned char)s[k] >= 0x80)
            return 0;
        out[n++] = (uint32_t)(s[k] >= 'A' && s[k] <= 'Z' ? s[k] | 0x20 : s[k]);
    }
    const char *p = s + dash, *end = s + len;
    uint32_t code = 128, i = 0, bias = 72;
    if (p == end)
        return 0;
    while (p < end) {
        uint32_t old = i;
        if (n == LABEL_MAX || !punycode_integer(&p, end, bias, &i))
            return 0;
        bias = punycode_adapt(i - old, (uint32_t)n + 1, old == 0);
        code += i / (uint32_t)(n + 1);
        i %= (uint32_t)(n + 1);
        if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 0;
        memmove(out + i + 1, out + i, (n - i) * sizeof *out);
        out[i++] = code;
        n++;
    }
    return n;
}

/* ---- which code points, and where (RFC 5892) ---- */

typedef enum group {
    GROUP_VALID,
    GROUP_MARK,
    GROUP_GREEK,
    GROUP_HEBREW,
    GROUP_KANA_OR_HAN,
    GROUP_VIRAMA,
    GROUP_JOINING,
    GROUP_JOINING_LEFT,
    GROUP_COUNT,
} group;

/* Virama: combining class 9. Joining: letters of scripts that join; JOINING_LEFT leaves out those that join
 * on one side only. */
static const char *const group_text[GROUP_COUNT] = {
    [GROUP_VALID] =
        "^[\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}\\-\\u{375}\\u{5f3}\\u{5f4}\\u{30fb}\\u{b7}\\u{6fd}"
        "\\u{6fe}\\u{f0b}\\u{3007}\\u{200c}\\u{200d}]$",
    [GROUP_MARK] = "^\\p{M}$",
    [GROUP_GREEK] = "^\\p{sc=Greek}$",
    [GROUP_HEBREW] = "^\\p{sc=Hebrew}$",
    [GROUP_KANA_OR_HAN] = "^[\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Han}]$",
    [GROUP_VIRAMA] =
        "^[\\u{94d}\\u{9cd}\\u{a4d}\\u{acd}\\u{b4d}\\u{bcd}\\u{c4d}\\u{ccd}\\u{d3b}\\u{d3c}\\u{d4d}\\u{dca}"
        "\\u{e3a}\\u{eba}\\u{f84}\\u{1039}\\u{103a}\\u{1714}\\u{1734}\\u{17d2}\\u{1a60}\\u{1b44}\\u{1baa}"
        "\\u{1bab}\\u{1bf2}\\u{1bf3}\\u{2d7f}\\u{a806}\\u{a8c4}\\u{a953}\\u{a9c0}\\u{aaf6}\\u{abed}]$",
    [GROUP_JOINING] = "^[\\p{sc=Arabic}\\p{sc=Syriac}\\p{sc=Nko}\\p{sc=Mandaic}\\p{sc=Mongolian}]$",
    [GROUP_JOINING_LEFT] =
        "^(?![\\u{622}-\\u{625}\\u{627}\\u{629}\\u{62f}-\\u{632}\\u{648}\\u{671}-\\u{673}"
        "\\u{675}-\\u{677}\\u{688}-\\u{699}\\u{6c0}\\u{6c3}-\\u{6cb}\\u{6cd}\\u{6cf}\\u{6d2}\\u{6d3}"
        "\\u{6d5}\\u{6ee}\\u{6ef}])[\\p{sc=Arabic}\\p{sc=Syriac}\\p{sc=Nko}\\p{sc=Mandaic}]$",
};

static pattern *groups[GROUP_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void groups_free(void)
{
    for (int i = 0; i < GROUP_COUNT; i++)
        pattern_free(groups[i]);
}

static void groups_make(void)
{
    status st;
    for (int i = 0; i < GROUP_COUNT; i++) {
        groups[i] = pattern_compile(group_text[i], strlen(group_text[i]), &st);
        assert(groups[i]);
    }
    atexit(groups_free);
}

static size_t utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00U >> n & 0xf0) | c);
    return n;
}

static bool in_group(uint32_t c, group which)
{
    char s[4];
    pthread_once(&once, groups_make);
    return pattern_match(groups[which], s, utf8_encode(c, s)) == PATTERN_YES;
}

static bool is_disallowed_exception(uint32_t c)
{
    return c == 0x640 || c == 0x7fa || c == 0x302e || c == 0x302f || (c >= 0x3031 && c <= 0x3035) ||
           c == 0x303b;
}

static bool any_in_group(const uint32_t *label, size_t n, group which, uint32_t except)
{
    for (size_t i = 0; i < n; i++)
        if (label[i] != except && in_group(label[i], which))
            return true;
    return false;
}

static bool any_in_range(const uint32_t *label, size_t n, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < n; i++)
        if (label[i] >= from && label[i] <= to)
            return true;
    return false;
}

/* The zero-width joiners: after a virama; the non-joiner also between letters that would join. */
static bool joiner_fits(const uint32_t *label, size_t n, size_t i)
{
    if (i == 0)
        return false;
    if (in_group(label[i - 1], GROUP_VIRAMA))
        return true;
    return label[i] == 0x200c && i + 1 < n && in_group(label[i - 1], GROUP_JOINING_LEFT) &&
           in_group(label[i + 1], GROUP_JOINING);
}

static bool context_fits(const uint32_t *label, size_t n, size_t i)
{
    switch (label[i]) {
    case 0xb7:
        return i > 0 && i + 1 < n && label[i - 1] == 'l' && label[i + 1] == 'l';
    case 0x375:
        return i + 1 < n && in_group(label[i + 1], GROUP_GREEK);
    case 0x5f3:
    case 0x5f4:
        return i > 0 && in_group(label[i - 1], GROUP_HEBREW);
    case 0x30fb:
        return any_in_group(label, n, GROUP_KANA_OR_HAN, 0x30fb);
    case 0x200c:
    case 0x200d:
        return joiner_fits(label, n, i);
    default:
        break;
    }
    if (label[i] >= 0x660 && label[i] <= 0x669)
        return !any_in_range(label, n, 0x6f0, 0x6f9);
    if (label[i] >= 0x6f0 && label[i] <= 0x6f9)
        return !any_in_range(label, n, 0x660, 0x669);
    return true;
}

static bool is_u_label(const uint32_t *label, size_t n)
{
    if (label[0] == '-' || label[n - 1] == '-' || in_group(label[0], GROUP_MARK))
        return false;
    if (n >= 4 && label[2] == '-' && label[3] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!in_group(label[i], GROUP_VALID) || is_disallowed_exception(label[i]) ||
            !context_fits(label, n, i))
            return false;
    return true;
}

bool idna_is_a_label(const char *s, size_t len)
{
    uint32_t label[LABEL_MAX];
    assert(len >= 4);
    size_t n = len <= LABEL_MAX ? punycode_decode(s + 4, len - 4, label) : 0;
    return n > 0 && is_u_label(label, n);
}
