/* How long does a cell take from nothing to ready, and does the host's loop notice? First from a small
 * process, then from one with 2 GB of memory in use (where a fork would have to copy its page tables). Beside
 * it a loop ticks every millisecond, as the host's does, and its longest silence is told, with and without
 * spawns. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include "tests/unit/plugin/stand.h"

enum { STARTS = 200, TICK_MS = 1 };
static const size_t RESIDENT_BYTES = (size_t)2 << 30;

typedef struct ticker {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_async_t end;
    pthread_t thread;
    double last, longest; /* of this round, in us */
    atomic_bool begin;    /* a round begins: forget what was */
} ticker;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void on_tick(uv_timer_t *timer)
{
    ticker *t = timer->data;
    double now = now_us(), silence = now - t->last - TICK_MS * 1000;
    bool first = atomic_exchange(&t->begin, false);
    t->longest = first ? 0 : silence > t->longest ? silence : t->longest;
    t->last = now;
}

static void on_end(uv_async_t *end)
{
    uv_stop(end->loop);
}

static void *tick(void *arg)
{
    ticker *t = arg;
    uv_run(&t->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void ticker_start(ticker *t)
{
    uv_loop_init(&t->loop);
    uv_timer_init(&t->loop, &t->timer);
    uv_async_init(&t->loop, &t->end, on_end);
    t->timer.data = t;
    t->last = now_us();
    uv_timer_start(&t->timer, on_tick, TICK_MS, TICK_MS);
    pthread_create(&t->thread, NULL, tick, t);
}

static void ticker_stop(ticker *t)
{
    uv_async_send(&t->end);
    pthread_join(t->thread, NULL);
    uv_close((uv_handle_t *)&t->timer, NULL);
    uv_close((uv_handle_t *)&t->end, NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_loop_close(&t->loop);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The same time without a spawn, for comparison: what the machine itself does to a loop. */
static double quiet(ticker *t, double us)
{
    struct timespec pause = {.tv_sec = (time_t)(us / 1e6), .tv_nsec = (long)us % 1000000 * 1000};
    atomic_store(&t->begin, true);
    nanosleep(&pause, NULL);
    return t->longest / 1000;
}

static void measure(stand *at, ticker *t, const char *title)
{
    status st;
    static double ms[STARTS];
    double began = now_us();
    atomic_store(&t->begin, true);
    for (int i = 0; i < STARTS; i++) {
        instance *in = stand_instance(at, "org.penstock.bench.kernel", "{}");
        double from = now_us();
        must(instance_start(in, NULL, &st), &st);
        ms[i] = (now_us() - from) / 1000;
        instance_free(in);
    }
    double took = now_us() - began, silence = t->longest / 1000;
    qsort(ms, STARTS, sizeof *ms, by_size);
    printf("%-14s %d starts: p50 %.2f ms (bar 5), p99 %.2f ms, max %.2f ms; the loop's longest delay %.2f ms "
           "(bar 5), "
           "without spawns %.2f ms\n",
           title, STARTS, ms[STARTS / 2], ms[STARTS * 99 / 100], ms[STARTS - 1], silence, quiet(t, took));
    fflush(stdout);
}

int main(void)
{
    status st;
    stand at;
    nursery *spawner = nursery_start(&st);
    stand_up(&at, spawner, (const char *const[]){"kernel", NULL});
    static ticker t;
    ticker_start(&t);
    measure(&at, &t, "small host");
    char *memory = malloc(RESIDENT_BYTES);
    for (size_t i = 0; memory && i < RESIDENT_BYTES; i += 4096)
        ((volatile char *)memory)[i] = 1;
    measure(&at, &t, memory ? "2 GB resident" : "no 2 GB here");
    free(memory);
    ticker_stop(&t);
    stand_down(&at);
    nursery_stop(spawner);
    return 0;
}
