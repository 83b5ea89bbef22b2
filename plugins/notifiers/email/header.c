#include "header.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* An encoded word is at most 75 long: 12 for "=?UTF-8?B?" and "?=", so 60 base64 digits, 45 bytes. */
enum { WORD_BYTES = 45, PLAIN_MAX = 900 };

static bool is_plain(const char *text)
{
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            return false;
    return !strstr(text, "=?") && strlen(text) < PLAIN_MAX;
}

/* The longest piece of at most WORD_BYTES that ends at a character's end. */
static size_t piece_length(const char *text)
{
    size_t len = strnlen(text, WORD_BYTES + 1);
    if (len <= WORD_BYTES)
        return len;
    len = WORD_BYTES;
    while (len > 1 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void header_text(const char *text, char *out, size_t cap)
{
    size_t at = 0;
    out[0] = '\0';
    if (is_plain(text)) {
        snprintf(out, cap, "%s", text);
        return;
    }
    while (*text) {
        char piece[WORD_BYTES + 1],
            word[sodium_base64_ENCODED_LEN(WORD_BYTES, sodium_base64_VARIANT_ORIGINAL)];
        size_t len = piece_length(text);
        for (size_t i = 0; i < len; i++)
            piece[i] = (char)((unsigned char)text[i] < ' ' || text[i] == 0x7f ? ' ' : text[i]);
        sodium_bin2base64(word, sizeof word, (const unsigned char *)piece, len,
                          sodium_base64_VARIANT_ORIGINAL);
        if (at + strlen(word) + 20 > cap)
            return;
        at += (size_t)snprintf(out + at, cap - at, "%s=?UTF-8?B?%s?=", at ? "\r\n " : "", word);
        text += len;
    }
}

bool header_is_address(const char *text)
{
    const char *sign = strchr(text, '@');
    if (!sign || sign == text || !sign[1] || strchr(sign + 1, '@') || strlen(text) > 254)
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c > '~' || strchr("<>()[],;:\\\"", *c))
            return false;
    return true;
}

void header_date(int64_t wall_us, char *out, size_t cap)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm t = {0};
    gmtime_r(&seconds, &t);
    snprintf(out, cap, "%s, %02d %s %d %02d:%02d:%02d +0000", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}
