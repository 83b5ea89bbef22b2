/* A lane with work is in the pool's ready queue exactly once; a thread takes it, runs one job, and puts it
 * back if more is waiting. So lanes take turns and one busy lane cannot starve the others. */
#include "loop/lane.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

typedef struct job {
    struct job *next;
    lane_function function;
    void *arg;
} job;

struct lane {
    lane_pool *pool;
    lane *next_ready;
    job *first, **last;
    size_t waiting; /* in the queue or running */
    bool queued;    /* in the ready queue or running */
    char name[32];
};

struct lane_pool {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    lane *ready, **ready_last;
    bool ending;
    unsigned n_threads, n_lanes;
    pthread_t threads[];
};

static void ready_add(lane_pool *pool, lane *l)
{
    l->next_ready = NULL;
    *pool->ready_last = l;
    pool->ready_last = &l->next_ready;
    l->queued = true;
    pthread_cond_signal(&pool->work);
}

static lane *ready_take(lane_pool *pool)
{
    lane *l = pool->ready;
    pool->ready = l->next_ready;
    if (!pool->ready)
        pool->ready_last = &pool->ready;
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
    pthread_mutex_unlock(&pool->lock);
    j->function(j->arg);
    free(j);
    pthread_mutex_lock(&pool->lock);
    l->waiting--;
    l->queued = false;
    if (l->first)
        ready_add(pool, l);
    else
        pthread_cond_broadcast(&pool->idle);
}

static void *thread_main(void *arg)
{
    lane_pool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->ready && !pool->ending)
            pthread_cond_wait(&pool->work, &pool->lock);
        if (!pool->ready)
            break;
        run_one(pool, ready_take(pool));
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

lane_pool *lane_pool_create(unsigned n_threads)
{
    lane_pool *pool = memory_zero(1, sizeof *pool + n_threads * sizeof pool->threads[0]);
    pool->ready_last = &pool->ready;
    pool->n_threads = n_threads;
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
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

lane *lane_open(lane_pool *pool, const char *name)
{
    lane *l = memory_zero(1, sizeof *l);
    l->pool = pool;
    l->last = &l->first;
    snprintf(l->name, sizeof l->name, "%s", name);
    pthread_mutex_lock(&pool->lock);
    pool->n_lanes++;
    pthread_mutex_unlock(&pool->lock);
    return l;
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
        ready_add(l->pool, l);
    pthread_mutex_unlock(&l->pool->lock);
}

size_t lane_waiting(lane *l)
{
    pthread_mutex_lock(&l->pool->lock);
    size_t n = l->waiting;
    pthread_mutex_unlock(&l->pool->lock);
    return n;
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
    free(l);
}
