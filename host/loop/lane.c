/* A lane with work stands once in its group's queue, a group with such lanes once in the pool's turns; a
 * thread takes the group whose turn it is, runs one job of its first lane, and puts the lane back if more is
 * waiting.
 *
 * Work goes to the thread that became idle last, so that little work keeps to few threads; one that nobody
 * called for a while ends, and is started again when there is work and no thread for it. The C library keeps
 * freed memory for each thread: what sixteen threads kept of work that is long done held most of what an
 * idle host weighed. */
#include "loop/lane.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/turns.h"

typedef struct job {
    struct job *next;
    lane_function function;
    void *arg;
} job;

struct lane_group {
    turn_taker taker; /* first */
    lane_pool *pool;
    lane *ready, **ready_last;
    unsigned running;
};

struct lane {
    lane_pool *pool;
    lane_group *group, own;
    lane *next_ready;
    job *first, **last;
    size_t waiting; /* in the queue or running */
    bool queued;    /* in the ready queue or running */
    char name[32];
};

/* A thread that waits for work; on its stack. */
typedef struct sleeper {
    struct sleeper *next; /* became idle before */
    pthread_cond_t called;
    bool is_called; /* and no longer among the sleepers */
} sleeper;

struct lane_pool {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* a lane is drained, or a thread ends */
    turns turns;         /* of the groups that have ready lanes and may run one more */
    sleeper *sleepers;
    bool ending, has_ended;
    unsigned most_threads, n_threads, n_lanes, group_most;
    int64_t linger_us;
    pthread_t ended; /* the newest that ended; it has joined the one before */
};

static void *thread_main(void *arg);

/* Under the lock, like all that follow. */
static void start_thread(lane_pool *pool)
{
    pthread_t thread;
    int rc = pthread_create(&thread, NULL, thread_main, pool);
    pool->n_threads += rc == 0;
    assert(pool->n_threads > 0); /* fewer are slower, none is the end */
}

static void call_thread(lane_pool *pool)
{
    sleeper *s = pool->sleepers;
    if (s) {
        pool->sleepers = s->next;
        s->is_called = true;
        pthread_cond_signal(&s->called);
    } else if (pool->n_threads < pool->most_threads) {
        start_thread(pool);
    }
}

static void want_turn(lane_group *g)
{
    if (!g->ready || g->running >= g->pool->group_most)
        return;
    turns_want(&g->pool->turns, &g->taker);
}

static void ready_add(lane *l)
{
    lane_group *g = l->group;
    l->next_ready = NULL;
    *g->ready_last = l;
    g->ready_last = &l->next_ready;
    l->queued = true;
    want_turn(g);
}

static lane *ready_take(lane_pool *pool)
{
    lane_group *g = (lane_group *)turns_next(&pool->turns);
    lane *l = g->ready;
    g->ready = l->next_ready;
    if (!g->ready)
        g->ready_last = &g->ready;
    g->running++;
    want_turn(g);
    return l;
}

/* Runs one job of the lane. The lock is held on entry and on return. */
static void run_one(lane_pool *pool, lane *l)
{
    job *j = l->first;
    assert(j);
    l->first = j->next;
    if (!l->first)
        l->last = &l->first;
    lane_group *g = l->group;
    pthread_mutex_unlock(&pool->lock);
    int64_t began_us = clock_monotonic_us();
    j->function(j->arg);
    free(j);
    int64_t took_us = clock_monotonic_us() - began_us;
    pthread_mutex_lock(&pool->lock);
    turns_charge(&pool->turns, &g->taker, (uint64_t)took_us + 1);
    g->running--;
    want_turn(g);
    l->waiting--;
    l->queued = false;
    if (l->first)
        ready_add(l);
    else
        pthread_cond_broadcast(&pool->idle);
}

static void add_sleeper(lane_pool *pool, sleeper *s)
{
    s->next = pool->sleepers;
    pool->sleepers = s;
}

static void forget_sleeper(lane_pool *pool, const sleeper *s)
{
    sleeper **at = &pool->sleepers;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

static struct timespec in(int64_t us)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t ns = t.tv_nsec + us % 1000000 * 1000;
    return (struct timespec){.tv_sec = t.tv_sec + us / 1000000 + ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* False: nobody called for so long that the thread is to end. */
static bool sleep_until_called(lane_pool *pool)
{
    sleeper s = {0};
    pthread_condattr_t monotonic;
    struct timespec end = in(pool->linger_us);
    int rc = 0;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s.called, &monotonic);
    pthread_condattr_destroy(&monotonic);
    add_sleeper(pool, &s);
    while (!s.is_called && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s.called, &pool->lock, &end);
    if (!s.is_called)
        forget_sleeper(pool, &s);
    pthread_cond_destroy(&s.called);
    return s.is_called;
}

/* Whoever ends joins who ended before, so that the last one's end is the end of all. */
static void end_thread(lane_pool *pool)
{
    bool has_ended = pool->has_ended;
    pthread_t before = pool->ended;
    pool->ended = pthread_self();
    pool->has_ended = true;
    pool->n_threads--;
    pthread_cond_broadcast(&pool->idle);
    pthread_mutex_unlock(&pool->lock);
    if (has_ended)
        pthread_join(before, NULL);
}

/* Calls another if there is more than it takes itself. */
static void take_turn(lane_pool *pool)
{
    lane *l = ready_take(pool);
    if (turns_waiting(&pool->turns))
        call_thread(pool);
    run_one(pool, l);
}

static void *thread_main(void *arg)
{
    lane_pool *pool = arg;
    bool wanted = true;
    pthread_mutex_lock(&pool->lock);
    while (wanted) {
        if (turns_waiting(&pool->turns))
            take_turn(pool);
        else
            wanted = !pool->ending && sleep_until_called(pool);
    }
    end_thread(pool);
    return NULL;
}

lane_pool *lane_pool_create(unsigned n_threads)
{
    lane_pool *pool = memory_zero(1, sizeof *pool);
    pool->most_threads = n_threads;
    pool->group_most = n_threads - n_threads / 4;
    pool->linger_us = LANE_LINGER_US;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->idle, NULL);
    return pool;
}

void lane_pool_free(lane_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    assert(pool->n_lanes == 0);
    pool->ending = true;
    while (pool->sleepers)
        call_thread(pool);
    while (pool->n_threads > 0)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    if (pool->has_ended)
        pthread_join(pool->ended, NULL);
    turns_free(&pool->turns);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void lane_pool_linger(lane_pool *pool, int64_t us)
{
    pthread_mutex_lock(&pool->lock);
    pool->linger_us = us;
    pthread_mutex_unlock(&pool->lock);
}

unsigned lane_pool_threads(lane_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned n = pool->n_threads;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

static void group_begin(lane_group *g, lane_pool *pool, uint32_t weight)
{
    *g = (lane_group){.taker = {.weight = weight}, .pool = pool};
    g->ready_last = &g->ready;
}

lane_group *lane_group_open(lane_pool *pool, uint32_t weight)
{
    lane_group *g = keep_zero(1, sizeof *g);
    group_begin(g, pool, weight);
    return g;
}

void lane_group_close(lane_group *g)
{
    assert(!g || (g->running == 0 && !g->ready));
    keep_free(g);
}

static lane *make(lane_pool *pool, lane_group *g, const char *name)
{
    lane *l = keep_zero(1, sizeof *l);
    l->pool = pool;
    l->last = &l->first;
    l->group = g ? g : &l->own;
    group_begin(&l->own, pool, 0);
    snprintf(l->name, sizeof l->name, "%s", name);
    pthread_mutex_lock(&pool->lock);
    pool->n_lanes++;
    pthread_mutex_unlock(&pool->lock);
    return l;
}

lane *lane_open(lane_pool *pool, const char *name)
{
    return make(pool, NULL, name);
}

lane *lane_open_in(lane_group *g, const char *name)
{
    return make(g->pool, g, name);
}

void lane_post(lane *l, lane_function function, void *arg)
{
    job *j = memory_alloc(sizeof *j);
    *j = (job){.function = function, .arg = arg};
    pthread_mutex_lock(&l->pool->lock);
    *l->last = j;
    l->last = &j->next;
    l->waiting++;
    if (!l->queued) {
        ready_add(l);
        call_thread(l->pool);
    }
    pthread_mutex_unlock(&l->pool->lock);
}

void lane_close(lane *l)
{
    if (!l)
        return;
    lane_pool *pool = l->pool;
    pthread_mutex_lock(&pool->lock);
    while (l->waiting > 0)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pool->n_lanes--;
    pthread_mutex_unlock(&pool->lock);
    keep_free(l);
}
