/* Immutable things that many owners need alike, kept once: found by what they were made of, counted by
 * reference, gone with the last owner. The thing embeds `shared` as its first member. Any thread; nothing is
 * made under the table's lock, so two may make the same at once, and the second gives way. */
#ifndef PENSTOCK_BASE_SHARED_H
#define PENSTOCK_BASE_SHARED_H
#include <pthread.h>
#include <stddef.h>

#include "base/digest.h"

enum { SHARED_BUCKETS = 256 };

typedef struct shared shared;
struct shared {
    shared *next; /* in its bucket; under the table's lock, like the count */
    size_t references;
    char digest[DIGEST_TEXT_SIZE]; /* of what it was made of */
};

typedef struct shared_table {
    pthread_mutex_t lock;
    void (*free)(shared *s);
    shared *buckets[SHARED_BUCKETS];
} shared_table;

#define SHARED_TABLE(on_free)                                \
    {                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .free = (on_free) \
    }

/* One more reference to what was made of that; NULL: nobody has it. */
shared *shared_find(shared_table *t, const char digest[DIGEST_TEXT_SIZE]);
/* Takes `made` with its one reference; returns it, or what somebody else put there meanwhile (`made` is
 * freed). */
shared *shared_put(shared_table *t, const char digest[DIGEST_TEXT_SIZE], shared *made);
void shared_release(shared_table *t, shared *s); /* NULL is fine */
#endif
