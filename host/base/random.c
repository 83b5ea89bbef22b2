#include "base/random.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

#include "base/clock.h"

static void system_fill(void *self, void *out, size_t len)
{
    (void)self;
    randombytes_buf(out, len);
}

static random_source current = {system_fill, NULL};

/* NULL = the system's */
static void random_use(const random_source *source)
{
    current = source ? *source : (random_source){system_fill, NULL};
}

void random_bytes(void *out, size_t len)
{
    current.fill(current.self, out, len);
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

uint64_t random_below(uint64_t limit)
{
    uint64_t unbiased = UINT64_MAX - UINT64_MAX % limit, value;
    do
        value = random_u64();
    while (value >= unbiased);
    return value % limit;
}

uint64_t random_seeded_next(random_seeded *r)
{
    uint64_t z = (r->state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static void seeded_fill(void *self, void *out, size_t len)
{
    unsigned char *p = out;
    while (len > 0) {
        uint64_t value = random_seeded_next(self);
        size_t n = len < sizeof value ? len : sizeof value;
        memcpy(p, &value, n);
        p += n;
        len -= n;
    }
}

void random_seeded_use(random_seeded *r, uint64_t seed)
{
    r->state = seed;
    random_use(&(random_source){seeded_fill, r});
}

/* Adds one to a 10-byte big-endian number: the next ULID of the same millisecond. */
static void tail_increment(unsigned char tail[10])
{
    for (int i = 9; i >= 0 && ++tail[i] == 0; i--)
        ;
}

void ulid_make(char out[27])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t last_ms = -1;
    static unsigned char tail[10];
    unsigned char id[16];

    pthread_mutex_lock(&lock);
    int64_t ms = clock_wall_us() / 1000;
    if (ms <= last_ms) {
        ms = last_ms;
        tail_increment(tail);
    } else {
        last_ms = ms;
        random_bytes(tail, sizeof tail);
        tail[0] &= 0x7F; /* room to count up */
    }
    for (int i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    memcpy(id + 6, tail, sizeof tail);
    pthread_mutex_unlock(&lock);

    unsigned bits = 0, have = 2; /* 130 bits of text for 128 of id: two leading zeros */
    int at = 0;
    for (int i = 0; i < 16; i++) {
        bits = bits << 8 | id[i];
        have += 8;
        while (have >= 5) {
            have -= 5;
            out[at++] = alphabet[bits >> have & 31];
        }
    }
    out[26] = '\0';
}
