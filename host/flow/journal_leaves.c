/* The leaves of a large table, in the order of their keys, looked at side by side: in the order of the file,
 * so that a disk need not seek, a chunk asked for before the first of it is needed, and by several threads,
 * so that many requests are under way at once. 20 GiB of records have some 90,000 leaves. Who needs a certain
 * one sooner looks at it himself. */
#include "flow/journal_leaves.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { BOUND_MAX = 15, CHUNK = 64, THREADS_MAX = 8, THREAD_CHUNKS = 8 };
enum { LEAF_UNSEEN, LEAF_IN_HAND, LEAF_SOUND, LEAF_DAMAGED };

typedef struct leaf {
    uint64_t number;
    _Atomic uint8_t state;
    uint8_t from_len, to_len, from[BOUND_MAX], to[BOUND_MAX];
} leaf;

struct leaf_list {
    leaf *leaves;
    size_t n, cap;
    uint32_t *by_place; /* their order in the file */
    atomic_size_t next; /* the chunk that nobody has taken */
    atomic_bool stop;
    pthread_mutex_t lock;
    tree counted; /* in those that were looked at; under the lock, like the next */
    status st;    /* the first damage */
};

leaf_list *leaf_list_create(void)
{
    leaf_list *l = memory_zero(1, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void leaf_list_free(leaf_list *l)
{
    if (!l)
        return;
    pthread_mutex_destroy(&l->lock);
    free(l->leaves);
    free(l->by_place);
    free(l);
}

size_t leaf_list_count(const leaf_list *l)
{
    return l->n;
}

static uint8_t keep_bound(uint8_t out[BOUND_MAX], page_bytes bound)
{
    if (bound.len)
        memcpy(out, bound.data, bound.len);
    return (uint8_t)bound.len;
}

bool leaf_list_add(leaf_list *l, uint64_t number, page_bytes from, page_bytes to)
{
    if (from.len > BOUND_MAX || to.len > BOUND_MAX || l->n == UINT32_MAX)
        return false;
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 1024;
        l->leaves = memory_grow(l->leaves, l->cap * sizeof *l->leaves);
    }
    leaf *added = &l->leaves[l->n++];
    *added = (leaf){.number = number};
    added->from_len = keep_bound(added->from, from);
    added->to_len = keep_bound(added->to, to);
    return true;
}

/* ---- one of them ---- */

static void take_counts(tree *to, const tree *from)
{
    to->branches += from->branches;
    to->leaves += from->leaves;
    to->overflows += from->overflows;
    to->entries += from->entries;
}

static uint8_t look_at(leaf_list *l, leaf *one, const walk *how)
{
    uint8_t page[PAGE], state;
    status st = {.class = STATUS_OK};
    walk w = *how;
    w.counted = (tree){0};
    w.st = &st;
    if (page_read(w.f, one->number, page, PAGE))
        walk_leaf(&w, one->number, page, (page_bytes){one->from, one->from_len},
                  (page_bytes){one->to, one->to_len});
    else
        walk_note(&w, one->number, "it cannot be read from the disk");
    state = st.class == STATUS_OK ? LEAF_SOUND : LEAF_DAMAGED;
    pthread_mutex_lock(&l->lock);
    take_counts(&l->counted, &w.counted);
    if (state == LEAF_DAMAGED && l->st.class == STATUS_OK)
        l->st = st;
    pthread_mutex_unlock(&l->lock);
    atomic_store(&one->state, state);
    return state;
}

/* Whoever comes first looks; the others wait for what he says. */
static bool is_sound(leaf_list *l, leaf *one, const walk *how)
{
    uint8_t state = LEAF_UNSEEN;
    if (atomic_compare_exchange_strong(&one->state, &state, LEAF_IN_HAND))
        return look_at(l, one, how) == LEAF_SOUND;
    while (state == LEAF_IN_HAND) {
        sched_yield();
        state = atomic_load(&one->state);
    }
    return state == LEAF_SOUND;
}

/* ---- those about a key ---- */

static bool begins_after(const leaf *one, page_bytes key)
{
    size_t n = one->from_len < key.len ? one->from_len : key.len;
    int order = n ? memcmp(one->from, key.data, n) : 0;
    return order ? order > 0 : one->from_len > key.len;
}

/* The one that holds the key. */
static size_t leaf_of(const leaf_list *l, page_bytes key)
{
    size_t low = 0, high = l->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (begins_after(&l->leaves[middle], key))
            high = middle;
        else
            low = middle;
    }
    return low;
}

bool leaf_list_sound_about(leaf_list *l, const walk *how, page_bytes from, page_bytes to)
{
    size_t first = leaf_of(l, from), last = leaf_of(l, to);
    first -= first > 0;
    last += last + 1 < l->n;
    bool sound = true;
    for (size_t i = first; i <= last && sound; i++)
        sound = is_sound(l, &l->leaves[i], how);
    return sound;
}

/* ---- all of them ---- */

static int by_number(const void *left, const void *right, void *arg)
{
    const leaf *leaves = arg;
    uint64_t a = leaves[*(const uint32_t *)left].number, b = leaves[*(const uint32_t *)right].number;
    return a < b ? -1 : a > b;
}

static void find_places(leaf_list *l)
{
    l->by_place = memory_alloc((l->n + 1) * sizeof *l->by_place);
    for (uint32_t i = 0; i < l->n; i++)
        l->by_place[i] = i;
    qsort_r(l->by_place, l->n, sizeof *l->by_place, by_number, l->leaves);
}

typedef struct leaf_worker {
    leaf_list *list;
    const walk *how;
    pthread_t thread;
    bool started;
} leaf_worker;

static void *work(void *arg)
{
    leaf_worker *me = arg;
    leaf_list *l = me->list;
    while (!atomic_load(&l->stop)) {
        size_t from = atomic_fetch_add(&l->next, 1) * CHUNK, to = from + CHUNK < l->n ? from + CHUNK : l->n;
        if (from >= l->n)
            break;
        for (size_t i = from; i < to; i++)
            posix_fadvise(me->how->f->fd, (off_t)(l->leaves[l->by_place[i]].number * PAGE), PAGE,
                          POSIX_FADV_WILLNEED);
        for (size_t i = from; i < to; i++)
            if (!is_sound(l, &l->leaves[l->by_place[i]], me->how))
                return NULL;
    }
    return NULL;
}

void leaf_list_stop(leaf_list *l)
{
    atomic_store(&l->stop, true);
}

status_class leaf_list_check(leaf_list *l, const walk *how, unsigned threads, tree *counted, status *st)
{
    leaf_worker workers[THREADS_MAX] = {{.list = l, .how = how}}; /* the first one is this thread */
    size_t enough = l->n / ((size_t)CHUNK * THREAD_CHUNKS) + 1;
    assert(!how->visitor && threads >= 1 && threads <= THREADS_MAX);
    threads = threads < enough ? threads : (unsigned)enough;
    find_places(l);
    for (unsigned i = 1; i < threads; i++) {
        workers[i] = workers[0];
        workers[i].started = /* who cannot be started is not missed */
            pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0;
    }
    work(&workers[0]);
    for (unsigned i = 1; i < threads; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
    pthread_mutex_lock(&l->lock);
    take_counts(counted, &l->counted);
    *st = l->st;
    pthread_mutex_unlock(&l->lock);
    return st->class;
}
