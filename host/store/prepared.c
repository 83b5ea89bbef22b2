/* Linear probing; a slot that becomes free is closed by moving up those that had been pushed on by it. */
#include "store/prepared.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/arena.h"

enum { SLOTS_FIRST = 64, MISSES_A_PLACE = 16 };

void prepared_free(prepared_set *s)
{
    free(s->slots);
    *s = (prepared_set){0};
}

/* The types belong to it, so that `$1::int` takes an int64 and the server need not guess; another mix of
 * types (a null, say) is another plan. */
prepared_key prepared_key_of(const statement *s, const value *params, unsigned n)
{
    prepared_key key;
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, sizeof key);
    crypto_generichash_update(&hash, (const unsigned char *)s->sql, strlen(s->sql));
    for (unsigned i = 0; i < n; i++) {
        uint32_t type[2] = {params[i].kind, params[i].kind == VALUE_BINARY ? params[i].oid : 0};
        crypto_generichash_update(&hash, (const unsigned char *)type, sizeof type);
    }
    crypto_generichash_final(&hash, (unsigned char *)&key, sizeof key);
    return key;
}

static uint32_t home_of(const prepared_set *s, const prepared_key *key)
{
    return (uint32_t)key->words[0] & (s->n_slots - 1);
}

/* Where it stands, or the free slot where it would. */
static prepared_entry *slot_of(const prepared_set *s, const prepared_key *key)
{
    uint32_t i = home_of(s, key);
    while (s->slots[i].number && memcmp(&s->slots[i].key, key, sizeof *key) != 0)
        i = (i + 1) & (s->n_slots - 1);
    return &s->slots[i];
}

uint32_t prepared_find(prepared_set *s, const prepared_key *key)
{
    prepared_entry *e = s->n_slots ? slot_of(s, key) : NULL;
    if (!e || !e->number)
        return 0;
    e->used = ++s->uses;
    return e->number;
}

static const prepared_entry *oldest(const prepared_set *s)
{
    const prepared_entry *found = NULL;
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].number && (!found || s->slots[i].used < found->used))
            found = &s->slots[i];
    return found;
}

bool prepared_has_place(prepared_set *s, uint32_t *evicted_out)
{
    *evicted_out = 0;
    if (s->n < s->max)
        return true;
    if (s->max == 0 || ++s->misses % MISSES_A_PLACE != 0)
        return false;
    *evicted_out = oldest(s)->number;
    return true;
}

static void grow(prepared_set *s)
{
    prepared_set grown = *s;
    grown.n_slots = s->n_slots ? s->n_slots * 2 : SLOTS_FIRST;
    grown.slots = memory_zero(grown.n_slots, sizeof *grown.slots);
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].number)
            *slot_of(&grown, &s->slots[i].key) = s->slots[i];
    free(s->slots);
    *s = grown;
}

uint32_t prepared_add(prepared_set *s, const prepared_key *key)
{
    assert(s->n < s->max);
    if ((s->n + 1) * 2 > s->n_slots)
        grow(s);
    prepared_entry *e = slot_of(s, key);
    assert(!e->number);
    *e = (prepared_entry){*key, ++s->uses, ++s->numbers};
    s->n++;
    return e->number;
}

/* Whoever was pushed past slot `free` by those before it moves up. */
static void close_gap(prepared_set *s, uint32_t free)
{
    const uint32_t mask = s->n_slots - 1;
    for (uint32_t i = (free + 1) & mask; s->slots[i].number; i = (i + 1) & mask) {
        uint32_t home = home_of(s, &s->slots[i].key);
        if (((i - home) & mask) < ((i - free) & mask))
            continue; /* its own place lies behind the gap */
        s->slots[free] = s->slots[i];
        free = i;
    }
    s->slots[free] = (prepared_entry){0};
}

void prepared_forget(prepared_set *s, uint32_t number)
{
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (number && s->slots[i].number == number) {
            close_gap(s, i);
            s->n--;
            return;
        }
}
