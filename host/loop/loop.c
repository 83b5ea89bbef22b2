/* Posted functions wait in a singly linked queue under a short lock; uv_async wakes the loop, which takes the
 * whole queue at once. A prepare/check pair measures how long a turn of callbacks took. */
#include "loop/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/clock.h"

typedef struct posted {
    struct posted *next;
    loop_function function;
    void *arg;
} posted;

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    pthread_mutex_t lock;
    posted *first, **last;
    atomic_bool stop;
    int64_t turn_began;
    _Atomic int64_t longest_turn;
};

enum { TIMER_MAGIC = 0x71AE7A01 };
struct timer {
    uint32_t magic;
    bool repeat;
    uv_timer_t uv;
    loop_function function;
    void *arg;
};

static posted *queue_take(loop *l)
{
    pthread_mutex_lock(&l->lock);
    posted *all = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    return all;
}

static void run_posted(loop *l)
{
    posted *p = queue_take(l);
    while (p) {
        posted *next = p->next;
        p->function(p->arg);
        free(p);
        p = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    loop *l = wake->data;
    run_posted(l);
    if (l->stop)
        uv_stop(&l->uv);
}

static void on_before_poll(uv_prepare_t *handle)
{
    loop *l = handle->data;
    int64_t turn = clock_monotonic_us() - l->turn_began;
    if (l->turn_began && turn > l->longest_turn)
        l->longest_turn = turn;
}

static void on_after_poll(uv_check_t *handle)
{
    loop *l = handle->data;
    l->turn_began = clock_monotonic_us();
}

loop *loop_create(void)
{
    loop *l = memory_zero(1, sizeof *l);
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    int rc = uv_loop_init(&l->uv);
    assert(rc == 0);
    rc = uv_async_init(&l->uv, &l->wake, on_wake);
    assert(rc == 0);
    uv_prepare_init(&l->uv, &l->before_poll);
    uv_check_init(&l->uv, &l->after_poll);
    l->wake.data = l->before_poll.data = l->after_poll.data = l;
    uv_prepare_start(&l->before_poll, on_before_poll);
    uv_check_start(&l->after_poll, on_after_poll);
    return l;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    loop *l = arg;
    if (uv_is_closing(handle))
        return;
    bool ours = handle == (uv_handle_t *)&l->wake || handle == (uv_handle_t *)&l->before_poll ||
                handle == (uv_handle_t *)&l->after_poll;
    if (ours)
        uv_close(handle, NULL);
    else if (handle->type == UV_TIMER)
        timer_stop(handle->data);
    else
        assert(!"a handle was left open");
}

void loop_free(loop *l)
{
    if (!l)
        return;
    run_posted(l);
    uv_walk(&l->uv, close_handle, l);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&l->uv);
    assert(rc == 0);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void loop_run(loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
    run_posted(l);
}

void loop_stop(loop *l)
{
    l->stop = true;
    uv_async_send(&l->wake);
}

void loop_post(loop *l, loop_function function, void *arg)
{
    posted *p = memory_alloc(sizeof *p);
    *p = (posted){.function = function, .arg = arg};
    pthread_mutex_lock(&l->lock);
    *l->last = p;
    l->last = &p->next;
    pthread_mutex_unlock(&l->lock);
    uv_async_send(&l->wake);
}

uv_loop_t *loop_uv(loop *l)
{
    return &l->uv;
}

static void on_timer(uv_timer_t *handle)
{
    timer *t = CHECKED(timer, TIMER_MAGIC, handle->data);
    t->function(t->arg);
}

timer *timer_start(loop *l, uint64_t ms, bool repeat, loop_function function, void *arg)
{
    timer *t = memory_zero(1, sizeof *t);
    *t = (timer){.magic = TIMER_MAGIC, .repeat = repeat, .function = function, .arg = arg};
    uv_timer_init(&l->uv, &t->uv);
    t->uv.data = t;
    ms = ms ? ms : 1;
    uv_timer_start(&t->uv, on_timer, ms, repeat ? ms : 0);
    return t;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(CHECKED(timer, TIMER_MAGIC, handle->data));
}

void timer_stop(timer *t)
{
    if (!t)
        return;
    uv_timer_stop(&t->uv);
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

int64_t loop_longest_turn_us(loop *l)
{
    return atomic_exchange(&l->longest_turn, 0);
}
