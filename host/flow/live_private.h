/* The inside of the live view, shared by live.c (watches, and the lane that sends) and live_push.c (what
 * comes from writers and refreshers).
 *
 * Two locks: `lock` guards what the writers touch and is held for moments only; `watching` guards the watches
 * and is held by the lane while it makes texts. Who takes both takes `watching` first. */
#ifndef PENSTOCK_FLOW_LIVE_PRIVATE_H
#define PENSTOCK_FLOW_LIVE_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "flow/live.h"

#define LIVE_ITEM_ARENA_BYTES 4096
#define LIVE_OWNER_SIZE 40

typedef struct live_store {
    struct live_store *next;
    int32_t wid;
    char key[LIVE_STORE_SIZE];
    uint64_t *marks; /* by shard: the last _seq pushed; 0 = none yet */
    uint64_t mark;   /* never goes back */
    size_t waiting;  /* bytes of items under way */
    bool choked;     /* too many: its watches are to end */
    live_watch *watches;
} live_store;

struct live_watch {
    live_watch *next;
    live_hub *hub;
    live_store *store;
    arena *arena;
    char owner[LIVE_OWNER_SIZE];
    live_wish wish; /* its texts lie in the arena */
    void *arg;
    bool held;
    const char *ended; /* of a held one: why it is over */
    text waiting;      /* of a held one */
};

typedef struct live_item {
    live_hub *hub;
    arena *arena;
    int32_t wid;
    char key[LIVE_STORE_SIZE];
    batch rows;
    const char *const *names;
    int64_t first_seq, received_us;
    uint64_t mark;         /* 0 = not known */
    char id[LIVE_ID_SIZE]; /* "" = none */
    const char *why;       /* the watches end */
    size_t bytes;
} live_item;

typedef struct live_doubt { /* a store with a commit whose outcome is not known */
    struct live_doubt *next;
    int32_t wid;
    char key[LIVE_STORE_SIZE];
} live_doubt;

struct live_hub {
    lane *lane;
    journal *journal;
    unsigned shards;
    atomic_uint n_watches;
    pthread_mutex_t watching, lock;
    live_store *stores; /* changed under both */
    live_doubt *doubts; /* under `lock` */
    atomic_uint n_doubts;
    bool stopped;
    int64_t ticked_us;
};

/* Under either lock; NULL = nobody watches it. */
live_store *live_find_store(const live_hub *h, int32_t wid, const char *key);
/* The lane's job: a live_item, which it frees with its arena. */
void live_deliver(void *item);
#endif
