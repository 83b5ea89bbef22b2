/* Lanes: where blocking work runs. A lane is a queue whose jobs run one at a time, in order, on any thread of
 * a small pool; different lanes run side by side. Jobs are straight-line code and may block (SQL, plugin
 * calls, files). All functions may be called from any thread unless they say otherwise.
 *
 * Lanes of one owner (a workspace) make a group. When more lanes have work than there are threads, groups
 * take turns (base/turns.h): a group's share is the time that its jobs hold threads, by its weight. One group
 * never holds all threads, so that another's first job need not wait for the end of a long one. */
#ifndef PENSTOCK_LOOP_LANE_H
#define PENSTOCK_LOOP_LANE_H
#include <stddef.h>
#include <stdint.h>

typedef struct lane_pool lane_pool;
typedef struct lane lane;
typedef struct lane_group lane_group;
typedef void (*lane_function)(void *arg);

/* How long a thread waits for work before it ends; it is started again when there is work for it. */
#define LANE_LINGER_US 10000000

lane_pool *lane_pool_create(unsigned n_threads);    /* at most; they start when there is work for them */
void lane_pool_linger(lane_pool *pool, int64_t us); /* instead of LANE_LINGER_US, from now on */
unsigned lane_pool_threads(lane_pool *pool);        /* that run now */
/* Waits until every lane is drained, then ends the threads. Lanes must have been closed before. */
void lane_pool_free(lane_pool *pool);

/* `weight` as in base/turns.h; 0 = the usual one. */
lane_group *lane_group_open(lane_pool *pool, uint32_t weight);
void lane_group_close(lane_group *g); /* when its lanes are closed; NULL is fine */
lane *lane_open_in(lane_group *g, const char *name);
/* A group of its own. */
lane *lane_open(lane_pool *pool, const char *name);
/* Runs `function(arg)` after everything posted to this lane before. Never blocks. */
void lane_post(lane *l, lane_function function, void *arg);
/* Waits until what was posted has run, then frees the lane. Not from a job of this lane. NULL is fine. */
void lane_close(lane *l);
#endif
