/* A cursor of JetStream as it may come back from anywhere, of the place that its bytes name. Its ranges
 * ascend and lie apart, and say the same when they are written and read again; then the rest of the input is
 * added, a byte a number. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "taken.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t place_in(const uint8_t *data, size_t size)
{
    uint64_t place = 0;
    for (size_t i = 5; i < 13 && i < size; i++)
        place = place << 8 | data[i];
    return place;
}

static void judge(const taken *t)
{
    assert(t->n <= TAKEN_RANGES_MAX);
    for (size_t i = 0; i < t->n; i++) {
        const taken_range *r = &t->ranges[i];
        assert(r->from && r->from <= r->to && (!i || t->ranges[i - 1].to + 1 < r->from));
        assert(taken_has(t, r->from) && taken_has(t, r->to) && !taken_has(t, r->from - 1));
    }
}

/* Ranges too long for a cursor are dropped from the lowest on. */
static void over_a_cursor(taken *t)
{
    static taken again;
    static uint8_t cursor[TAKEN_CURSOR_MAX];
    size_t len = taken_cut(t, cursor);
    assert(len <= TAKEN_CURSOR_MAX);
    bool read = taken_open(&again, t->place, cursor, len);
    assert(read && again.n <= t->n);
    judge(&again);
    assert(!memcmp(again.ranges, t->ranges + (t->n - again.n), again.n * sizeof t->ranges[0]));
    assert(again.n == t->n || t->n > 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static taken t;
    if (!taken_open(&t, place_in(data, size), data, size))
        return 0;
    judge(&t);
    over_a_cursor(&t);
    for (size_t i = 0; i < size; i++) {
        taken_add(&t, 1 + data[i]);
        assert(taken_has(&t, 1 + data[i]) || t.n == TAKEN_RANGES_MAX);
    }
    judge(&t);
    over_a_cursor(&t);
    return 0;
}
