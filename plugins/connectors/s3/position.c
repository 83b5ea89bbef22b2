/*   v1 <print> <until_us> <offset> <until> <floor> <key> <etag>
 *   <what was seen, base64>
 * Words are written as in URLs; an empty one is a minus. */
#include "position.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_CAP = POSITION_SEEN_MAX + POSITION_SEEN_SPARE, WORD_MAX = 3 * LISTING_KEY_MAX };
#define SEEN_TEXT_MAX sodium_base64_ENCODED_LEN(SEEN_CAP * 8, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)

bool position_open(position *p)
{
    *p = (position){.seen = calloc(SEEN_CAP, sizeof *p->seen), .found = calloc(SEEN_CAP, sizeof *p->found)};
    return p->seen && p->found;
}

void position_close(position *p)
{
    free(p->seen);
    free(p->found);
    *p = (position){0};
}

void position_clear(position *p, uint64_t print)
{
    uint64_t *seen = p->seen;
    bool *found = p->found;
    *p = (position){.print = print, .until_us = INT64_MIN, .seen = seen, .found = found};
}

/* ---- The cursor ---- */

static void write_seen(const position *p, wording *out)
{
    unsigned char bytes[SEEN_CAP * 8];
    char text[SEEN_TEXT_MAX];
    for (size_t i = 0; i < p->n_seen; i++)
        for (int b = 0; b < 8; b++)
            bytes[8 * i + (size_t)b] = (unsigned char)(p->seen[i] >> (56 - 8 * b));
    sodium_bin2base64(text, sizeof text, bytes, 8 * p->n_seen, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    wording_add_text(out, WORDING_PLAIN, text);
}

void position_write(const position *p, wording *out)
{
    char numbers[100];
    snprintf(numbers, sizeof numbers, "v1 %" PRIu64 " %" PRId64 " %" PRIu64, p->print, p->until_us,
             p->offset);
    wording_clear(out);
    wording_add_text(out, WORDING_PLAIN, numbers);
    wording_add_word(out, p->until);
    wording_add_word(out, p->floor);
    wording_add_word(out, p->key);
    wording_add_word(out, p->etag);
    wording_add_text(out, WORDING_PLAIN, "\n");
    write_seen(p, out);
}

static bool read_seen(position *p, const char *text)
{
    unsigned char bytes[SEEN_CAP * 8];
    size_t len = 0;
    if (sodium_base642bin(bytes, sizeof bytes, text, strlen(text), NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) ||
        len % 8)
        return false;
    p->n_seen = len / 8;
    for (size_t i = 0; i < p->n_seen; i++) {
        p->seen[i] = 0;
        for (int b = 0; b < 8; b++)
            p->seen[i] = p->seen[i] << 8 | bytes[8 * i + (size_t)b];
    }
    return true;
}

bool position_read(position *p, pst_bytes cursor)
{
    static char text[POSITION_CURSOR_MAX + 1], until[WORD_MAX], floor[WORD_MAX], key[WORD_MAX],
        etag[WORD_MAX];
    int rest = 0;
    if (cursor.len >= sizeof text || !cursor.len)
        return false;
    memcpy(text, cursor.data, cursor.len);
    text[cursor.len] = '\0';
    return sscanf(text, "v1 %" SCNu64 " %" SCNd64 " %" SCNu64 " %3074s %3074s %3074s %3074s%n", &p->print,
                  &p->until_us, &p->offset, until, floor, key, etag, &rest) == 7 &&
           text[rest] == '\n' && wording_read_word(until, p->until, sizeof p->until) &&
           wording_read_word(floor, p->floor, sizeof p->floor) &&
           wording_read_word(key, p->key, sizeof p->key) &&
           wording_read_word(etag, p->etag, sizeof p->etag) && read_seen(p, text + rest + 1);
}

/* ---- What is settled ---- */

static bool is_at_or_before(int64_t a_us, const char *a, int64_t b_us, const char *b)
{
    return a_us < b_us || (a_us == b_us && strcmp(a, b) <= 0);
}

bool position_is_settled(const position *p, int64_t modified_us, const char *key)
{
    return is_at_or_before(modified_us, key, p->until_us, p->until) ||
           (p->floor[0] && strcmp(key, p->floor) <= 0);
}

void position_settle_time(position *p, int64_t modified_us, const char *key)
{
    if (is_at_or_before(modified_us, key, p->until_us, p->until))
        return;
    p->until_us = modified_us;
    snprintf(p->until, sizeof p->until, "%s", key);
}

void position_settle_key(position *p, const char *key)
{
    if (strcmp(key, p->floor) > 0)
        snprintf(p->floor, sizeof p->floor, "%s", key);
}

/* ---- What was seen ---- */

uint64_t position_print(const char *key, const char *etag)
{
    crypto_hash_sha256_state s;
    unsigned char hash[crypto_hash_sha256_BYTES];
    uint64_t print = 0;
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const unsigned char *)key, strlen(key) + 1);
    crypto_hash_sha256_update(&s, (const unsigned char *)etag, strlen(etag));
    crypto_hash_sha256_final(&s, hash);
    for (int i = 0; i < 8; i++)
        print = print << 8 | hash[i];
    return print;
}

/* Where it is, or would be. */
static size_t place_of(const position *p, uint64_t print)
{
    size_t from = 0, to = p->n_seen;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (p->seen[middle] < print)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

bool position_has_room(const position *p)
{
    return p->n_seen < POSITION_SEEN_MAX;
}

void position_add(position *p, uint64_t print)
{
    size_t at = place_of(p, print);
    if ((at < p->n_seen && p->seen[at] == print) || p->n_seen == SEEN_CAP)
        return;
    memmove(p->seen + at + 1, p->seen + at, (p->n_seen - at) * sizeof *p->seen);
    p->seen[at] = print;
    p->n_seen++;
}

void position_listing_begins(position *p)
{
    memset(p->found, 0, SEEN_CAP * sizeof *p->found);
}

bool position_find(position *p, uint64_t print)
{
    size_t at = place_of(p, print);
    bool there = at < p->n_seen && p->seen[at] == print;
    if (there)
        p->found[at] = true;
    return there;
}

void position_listing_ends(position *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_seen; i++)
        if (p->found[i])
            p->seen[n++] = p->seen[i];
    p->n_seen = n;
}
