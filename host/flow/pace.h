/* When something that works in turns on a lane has its next one: due at a time, at rest for ever, paused,
 * renewed by somebody, ending. At most one turn is under way.
 *
 *   tick ──due──► turn: pace_turn ── work ── pace_rest ──► due again
 *
 * What is said while a turn is under way is not lost: the rest at its end is no rest then, since the turn
 * has looked before. `lock` also guards what its owner shows of itself; it is short. [any thread] */
#ifndef PENSTOCK_FLOW_PACE_H
#define PENSTOCK_FLOW_PACE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PACE_FOR_EVER INT64_MAX

typedef struct pace {
    pthread_mutex_t lock;
    pthread_cond_t settled;
    bool turning, paused, ending;
    bool renewed;   /* since the turn began */
    int64_t due_us; /* monotonic */
} pace;

void pace_init(pace *p, bool paused);
void pace_destroy(pace *p);
/* True: a turn is due and has begun; the caller posts it. */
bool pace_tick(pace *p, int64_t now_us);
/* At the beginning of a turn. False: it is to rest. *renewed_out: somebody has said so since the last one. */
bool pace_turn(pace *p, bool *renewed_out);
/* Ends the turn; the next one is due in `ms`, at once if it was renewed meanwhile or if *news (may be NULL),
 * which whoever sets it sets before he looks whether a turn is under way. */
void pace_rest(pace *p, int64_t ms, const atomic_bool *news);
void pace_pause(pace *p, bool paused);
/* The next turn is due at once, unless it is paused. */
void pace_renew(pace *p);
/* Is the turn under way to come to its end: paused, or ending? */
bool pace_is_over(pace *p);
/* No more turns; waits for the end of the one under way. `hurry` (may be NULL) tells what it waits for to
 * give up, again and again, since a call that begins just then does not hear it. */
void pace_end(pace *p, void (*hurry)(void *arg), void *arg);
#endif
