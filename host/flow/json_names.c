#include "flow/json_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"

typedef struct name_slot {
    uint64_t hash;
    uint32_t generation, object;
    uint32_t at, len; /* in bytes[] */
} name_slot;

struct json_names {
    uint32_t generation, used, n_slots; /* n_slots is a power of two */
    name_slot *slots;
    char *bytes;
    size_t n_bytes, cap_bytes;
};

json_names *json_names_create(void)
{
    json_names *n = memory_zero(1, sizeof *n);
    n->generation = 1;
    n->n_slots = 64;
    n->slots = memory_zero(n->n_slots, sizeof *n->slots);
    return n;
}

void json_names_free(json_names *n)
{
    if (!n)
        return;
    free(n->slots);
    free(n->bytes);
    free(n);
}

void json_names_clear(json_names *n)
{
    if (n->used == 0)
        return;
    n->used = 0;
    n->n_bytes = 0;
    if (++n->generation == 0) {
        memset(n->slots, 0, n->n_slots * sizeof *n->slots);
        n->generation = 1;
    }
}

static name_slot *find(const json_names *n, uint64_t hash, uint32_t object, const char *name, size_t len)
{
    for (uint32_t i = (uint32_t)hash;; i++) {
        name_slot *s = &n->slots[i & (n->n_slots - 1)];
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) slots live as long as n */
        if (s->generation != n->generation)
            return s;
        if (s->hash == hash && s->object == object && s->len == len &&
            memcmp(n->bytes + s->at, name, len) == 0)
            return s;
    }
}

static void grow(json_names *n)
{
    json_names bigger = *n;
    bigger.n_slots = n->n_slots * 2;
    bigger.slots = memory_zero(bigger.n_slots, sizeof *bigger.slots);
    for (uint32_t i = 0; i < n->n_slots; i++) {
        const name_slot *s = &n->slots[i];
        if (s->generation == n->generation)
            *find(&bigger, s->hash, s->object, n->bytes + s->at, s->len) = *s;
    }
    free(n->slots);
    *n = bigger;
}

bool json_names_add(json_names *n, uint32_t object, const char *name, size_t len)
{
    if (n->used >= n->n_slots / 2)
        grow(n);
    uint64_t hash = name_hash(name, len) + object * UINT64_C(0x9E3779B97F4A7C15);
    name_slot *s = find(n, hash, object, name, len);
    if (s->generation == n->generation)
        return true;
    if (n->cap_bytes - n->n_bytes < len + 1) {
        n->cap_bytes = (n->cap_bytes + len + 256) * 2;
        n->bytes = memory_grow(n->bytes, n->cap_bytes);
    }
    memcpy(n->bytes + n->n_bytes, name, len);
    *s = (name_slot){hash, n->generation, object, (uint32_t)n->n_bytes, (uint32_t)len};
    n->n_bytes += len;
    n->used++;
    return false;
}

size_t json_names_bytes(const json_names *n)
{
    return sizeof *n + n->n_slots * sizeof *n->slots + n->cap_bytes;
}
