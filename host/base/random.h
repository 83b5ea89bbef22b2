/* The one seam for randomness. Tests put a seeded source in place and print the seed. */
#ifndef PENSTOCK_BASE_RANDOM_H
#define PENSTOCK_BASE_RANDOM_H
#include <stddef.h>
#include <stdint.h>

typedef struct random_source {
    void (*fill)(void *self, void *out, size_t len);
    void *self;
} random_source;

void random_bytes(void *out, size_t len); /* any thread; cryptographic unless a test changed the source */
uint64_t random_u64(void);
uint64_t random_below(uint64_t limit); /* 0 … limit-1; limit > 0 */

/* Seeded generator (splitmix64): for tests and jitter, never for secrets. */
typedef struct random_seeded {
    uint64_t state;
} random_seeded;
uint64_t random_seeded_next(random_seeded *r);
void random_seeded_use(random_seeded *r, uint64_t seed);

/* ULID: 26 characters, Crockford base32; time-ordered, monotonic within a millisecond in one process. */
void ulid_make(char out[27]);
#endif
