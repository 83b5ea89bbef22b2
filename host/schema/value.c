#include "schema/value.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/random.h"
#include "schema/number.h"

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_make(void)
{
    seed = random_u64() | 1;
}

static bool objects_equal(const json_t *a, const json_t *b, uint64_t *steps)
{
    const char *key;
    json_t *mine;
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, key, mine)
    {
        const json_t *theirs = json_object_get(b, key);
        if (!theirs || !value_equal(mine, theirs, steps))
            return false;
    }
    return true;
}

static bool arrays_equal(const json_t *a, const json_t *b, uint64_t *steps)
{
    size_t n = json_array_size(a);
    if (n != json_array_size(b))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!value_equal(json_array_get(a, i), json_array_get(b, i), steps))
            return false;
    return true;
}

bool value_equal(const json_t *a, const json_t *b, uint64_t *steps)
{
    ++*steps;
    if (json_is_number(a) && json_is_number(b))
        return number_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    switch (json_typeof(a)) {
    case JSON_STRING:
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    case JSON_ARRAY:
        return arrays_equal(a, b, steps);
    case JSON_OBJECT:
        return objects_equal(a, b, steps);
    default:
        return true;
    }
}

__extension__ typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)(a ^ seed) * (b ^ 0x9e3779b97f4a7c15ULL);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(const char *s, size_t len)
{
    uint64_t h = fold(len, 0x27d4eb2f165667c5ULL), part;
    for (; len >= 8; s += 8, len -= 8) {
        memcpy(&part, s, 8);
        h = fold(h, part);
    }
    part = 0;
    memcpy(&part, s, len);
    return fold(h, part + 1);
}

static uint64_t hash_number(const json_t *v)
{
    double d = json_number_value(v); /* equal numbers, int64 or double, have the same nearest double */
    uint64_t bits;
    if (d == 0)
        d = 0; /* -0.0 too */
    memcpy(&bits, &d, sizeof bits);
    return fold(bits, 3);
}

static uint64_t hash_object(const json_t *v, uint64_t *steps)
{
    uint64_t sum = 0;
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)v, key, member) sum +=
        fold(hash_bytes(key, strlen(key)), value_hash(member, steps));
    return fold(sum, 7 + json_object_size(v));
}

uint64_t value_hash(const json_t *v, uint64_t *steps)
{
    pthread_once(&seed_once, seed_make);
    ++*steps;
    uint64_t h;
    switch (json_typeof(v)) {
    case JSON_STRING:
        return hash_bytes(json_string_value(v), json_string_length(v));
    case JSON_INTEGER:
    case JSON_REAL:
        return hash_number(v);
    case JSON_ARRAY:
        h = fold(json_array_size(v), 5);
        for (size_t i = 0; i < json_array_size(v); i++)
            h = fold(h, value_hash(json_array_get(v, i), steps));
        return h;
    case JSON_OBJECT:
        return hash_object(v, steps);
    default:
        return fold(json_typeof(v), 11);
    }
}

typedef struct hashed {
    uint64_t hash;
    size_t at;
} hashed;

static int hashed_compare(const void *a, const void *b)
{
    const hashed *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static hashed *hash_all(const json_t *array, uint64_t *steps)
{
    size_t n = json_array_size(array);
    hashed *all = memory_alloc((n + 1) * sizeof *all);
    for (size_t i = 0; i < n; i++)
        all[i] = (hashed){.hash = value_hash(json_array_get(array, i), steps), .at = i};
    qsort(all, n, sizeof *all, hashed_compare);
    return all;
}

value_set *value_set_make(arena *a, const json_t *array)
{
    size_t n = json_array_size(array);
    uint64_t steps = 0, *hashes = arena_zero(a, n + 1, sizeof *hashes);
    const json_t **values = arena_zero(a, n + 1, sizeof(void *));
    hashed *all = hash_all(array, &steps);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = all[i].hash;
        values[i] = json_array_get(array, all[i].at);
    }
    free(all);
    value_set *s = arena_alloc(a, sizeof *s);
    *s = (value_set){.n = (uint32_t)n, .hashes = hashes, .values = values};
    return s;
}

bool value_set_has(const value_set *s, const json_t *v, uint64_t *steps)
{
    uint64_t hash = value_hash(v, steps);
    uint32_t from = 0, to = s->n;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (s->hashes[middle] < hash)
            from = middle + 1;
        else
            to = middle;
    }
    for (; from < s->n && s->hashes[from] == hash; from++)
        if (value_equal(s->values[from], v, steps))
            return true;
    return false;
}

bool value_find_duplicate(const json_t *array, uint64_t budget, uint64_t *steps, size_t *a_out, size_t *b_out)
{
    size_t n = json_array_size(array);
    bool found = false;
    if (n < 2)
        return false;
    hashed *all = hash_all(array, steps);
    for (size_t i = 0; i + 1 < n && !found && *steps <= budget; i++)
        for (size_t k = i + 1; k < n && all[k].hash == all[i].hash && !found && *steps <= budget; k++)
            if (value_equal(json_array_get(array, all[i].at), json_array_get(array, all[k].at), steps)) {
                *a_out = all[i].at;
                *b_out = all[k].at;
                found = true;
            }
    free(all);
    return found;
}
