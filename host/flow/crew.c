/* Who carries a stream is one byte, by the stream's number; it is looked at and changed when the stream gets
 * records. */
#include "flow/crew.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"

struct crew {
    pthread_mutex_t lock; /* before a writer's */
    writer *const *writers;
    unsigned n;
    uint8_t *carriers; /* by stream; 0 = the one of its shard, else that number and one */
    uint32_t cap;
};

crew *crew_create(writer *const *writers, unsigned n)
{
    assert(n > 0 && n < UINT8_MAX);
    crew *c = memory_zero(1, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    c->writers = writers;
    c->n = n;
    return c;
}

void crew_free(crew *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->carriers);
    free(c);
}

static uint8_t *carrier_of(crew *c, uint32_t stream)
{
    if (stream >= c->cap) {
        uint32_t cap = stream * 2 + 64;
        c->carriers = memory_grow(c->carriers, cap);
        memset(c->carriers + c->cap, 0, cap - c->cap);
        c->cap = cap;
    }
    return &c->carriers[stream];
}

/* All shards of a store have the same when few of its rows come together; stores are spread over all. */
static unsigned carrier_wanted(const crew *c, const journal_stream *s, uint64_t rows)
{
    bool few = rows <= CREW_FEW_ROWS && s->rows <= CREW_BACKLOG_ROWS;
    uint64_t of_store = s->wid + name_hash(s->store, strlen(s->store));
    return (unsigned)((few ? of_store : s->shard) % c->n);
}

void crew_appended(crew *c, const journal_stream *s, uint64_t rows)
{
    writer_place place;
    pthread_mutex_lock(&c->lock);
    uint8_t *carrier = carrier_of(c, s->id);
    unsigned now = *carrier ? *carrier - 1U : s->shard % c->n, wanted = carrier_wanted(c, s, rows);
    if (wanted != now && writer_give(c->writers[now], s->id, &place)) {
        writer_receive(c->writers[wanted], s, &place);
        *carrier = (uint8_t)(wanted + 1);
        now = wanted;
    }
    writer_wake(c->writers[now], s);
    pthread_mutex_unlock(&c->lock);
}
