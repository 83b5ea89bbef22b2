/* The event loop: one thread, libuv, never blocks. It owns timers and sockets, hands work to lanes and takes
 * back what they found out. Functions tagged [any] may be called from any thread, the others on the loop
 * thread only. */
#ifndef PENSTOCK_LOOP_LOOP_H
#define PENSTOCK_LOOP_LOOP_H
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

typedef struct loop loop;
typedef struct timer timer;
typedef void (*loop_function)(void *arg);

loop *loop_create(void);
void loop_free(loop *l); /* runs what was posted, closes timers */
/* Runs until loop_stop; returns when it was called and everything posted before it has run. */
void loop_run(loop *l);
void loop_stop(loop *l); /* [any] */
/* [any] runs on the loop thread, in order of posting. */
void loop_post(loop *l, loop_function function, void *arg);
uv_loop_t *loop_uv(loop *l);

/* Runs `function` after `ms` (at least 1), then every `ms` if `repeat`. */
timer *timer_start(loop *l, uint64_t ms, bool repeat, loop_function function, void *arg);
void timer_stop(timer *t); /* NULL is fine; the timer is gone afterwards */

/* Longest time the loop thread spent in one turn of callbacks since the last call; microseconds. [any] */
int64_t loop_longest_turn_us(loop *l);
#endif
