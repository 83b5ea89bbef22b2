/* The cursor: "nats1", place (8 bytes), batch (8), then the ranges from the highest down: the highest number,
 * and in turns how many below it are there too, and how many are missing below those; numbers in groups of 7
 * bits, low ones first. */
#include "taken.h"

#include <string.h>

enum { HEAD = 5 + 8 + 8, NUMBER_MAX = 10 };
#define BATCH_LAST (UINT64_MAX / 2) /* numbers begin anew far from where they would end: none is 0 */
static const uint8_t magic[5] = {'n', 'a', 't', 's', '1'};

static void put(uint8_t *at, uint64_t value)
{
    for (size_t i = 8; i--; value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t get(const uint8_t *at)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

static size_t put_number(uint8_t *at, uint64_t value)
{
    size_t n = 0;
    for (; value > 127; value >>= 7)
        at[n++] = (uint8_t)(value & 127) | 128;
    at[n++] = (uint8_t)value;
    return n;
}

static bool get_number(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        *out |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* ---- The set ---- */

/* The first range that does not end before the number. */
static size_t place_of(const taken *t, uint64_t number)
{
    size_t low = 0, high = t->n;
    if (t->n && t->ranges[t->n - 1].to < number)
        return t->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t->ranges[middle].to < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void taken_forget(taken *t)
{
    t->n = 0;
}

bool taken_has(const taken *t, uint64_t number)
{
    size_t at = place_of(t, number);
    return at < t->n && t->ranges[at].from <= number;
}

static void remove_range(taken *t, size_t at)
{
    memmove(&t->ranges[at], &t->ranges[at + 1], (t->n - at - 1) * sizeof t->ranges[0]);
    t->n--;
}

void taken_add(taken *t, uint64_t number)
{
    size_t at = place_of(t, number);
    if (at < t->n && t->ranges[at].from <= number)
        return;
    bool joins_below = at > 0 && t->ranges[at - 1].to + 1 == number;
    bool joins_above = at < t->n && t->ranges[at].from == number + 1;
    if (joins_below && joins_above) {
        t->ranges[at - 1].to = t->ranges[at].to;
        remove_range(t, at);
    } else if (joins_below) {
        t->ranges[at - 1].to = number;
    } else if (joins_above) {
        t->ranges[at].from = number;
    } else {
        if (t->n == TAKEN_RANGES_MAX) {
            if (!at)
                return; /* it is lower than all that there is room for */
            remove_range(t, 0);
            at--;
        }
        memmove(&t->ranges[at + 1], &t->ranges[at], (t->n - at) * sizeof t->ranges[0]);
        t->ranges[at] = (taken_range){number, number};
        t->n++;
    }
}

uint64_t taken_highest(const taken *t)
{
    return t->n ? t->ranges[t->n - 1].to : 0;
}

uint64_t taken_floor(const taken *t)
{
    return t->n ? t->ranges[0].to : 0;
}

/* ---- The cursor ---- */

uint64_t taken_batch(const void *cursor, size_t len)
{
    const uint8_t *c = cursor;
    return len >= HEAD && !memcmp(c, magic, sizeof magic) ? get(c + 13) : 0;
}

static bool read_ranges(taken *t, const uint8_t *at, const uint8_t *end)
{
    uint64_t top, below, gap;
    if (at == end)
        return true;
    if (!get_number(&at, end, &top))
        return false;
    for (;;) {
        if (!get_number(&at, end, &below) || below >= top || t->n == TAKEN_RANGES_MAX)
            return false;
        t->ranges[t->n++] = (taken_range){top - below, top};
        if (at == end)
            break;
        if (!get_number(&at, end, &gap) || !gap || gap >= top - below - 1)
            return false;
        top = top - below - 1 - gap;
    }
    for (size_t low = 0, high = t->n - 1; low < high; low++, high--) {
        taken_range r = t->ranges[low];
        t->ranges[low] = t->ranges[high];
        t->ranges[high] = r;
    }
    return true;
}

bool taken_open(taken *t, uint64_t place, const void *cursor, size_t len)
{
    const uint8_t *c = cursor;
    t->place = place;
    t->batch = 1;
    t->n = 0;
    if (!len)
        return true;
    if (!taken_batch(cursor, len))
        return false;
    t->batch = taken_batch(cursor, len) < BATCH_LAST ? taken_batch(cursor, len) + 1 : 1;
    return get(c + 5) != place || read_ranges(t, c + HEAD, c + len);
}

size_t taken_cut(taken *t, uint8_t c[TAKEN_CURSOR_MAX])
{
    memcpy(c, magic, sizeof magic);
    put(c + 5, t->place);
    put(c + 13, t->batch++);
    size_t len = HEAD;
    uint64_t below = 0; /* where the range above begins */
    for (size_t i = t->n; i-- && len + 2 * NUMBER_MAX <= TAKEN_CURSOR_MAX;) {
        const taken_range *r = &t->ranges[i];
        len += put_number(c + len, i == t->n - 1 ? r->to : below - 1 - r->to);
        len += put_number(c + len, r->to - r->from);
        below = r->from;
    }
    return len;
}
