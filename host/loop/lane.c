/* A lane with work stands once in its group's queue, a group with such lanes once in the pool's turns; a
 * thread takes the group whose turn it is, runs one job of its first lane, and puts the lane back if more is
 * waiting. */
#include "loop/lane.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

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

struct lane_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    turns turns; /* of the groups that have ready lanes and may run one more */
    bool ending;
    unsigned n_threads, n_lanes, group_most;
    pthread_t threads[];
};

static void want_turn(lane_group *g)
{
    if (!g->ready || g->running >= g->pool->group_most)
        return;
    turns_want(&g->pool->turns, &g->taker);
    pthread_cond_signal(&g->pool->work);
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

static void *thread_main(void *arg)
{
    lane_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!turns_waiting(&pool->turns) && !pool->ending)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (!turns_waiting(&pool->turns))
            break;
        run_one(pool, ready_take(pool));
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

lane_pool *lane_pool_create(unsigned n_threads)
{
    lane_pool *pool = memory_zero(1, sizeof *pool + n_threads * sizeof pool->threads[0]);
    pool->n_threads = n_threads;
    pool->group_most = n_threads - n_threads / 4;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, NULL);
    for (unsigned i = 0; i < n_threads; i++) {
        int rc = pthread_create(&pool->threads[i], NULL, thread_main, pool);
        assert(rc == 0);
    }
    return pool;
}

void lane_pool_free(lane_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    assert(pool->n_lanes == 0);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    turns_free(&pool->turns);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
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
    if (!l->queued)
        ready_add(l);
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
