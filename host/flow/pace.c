#include "flow/pace.h"

#include <time.h>

#include "base/clock.h"

enum { HURRY_NS = 50000000, SECOND_NS = 1000000000 };

void pace_init(pace *p, bool paused)
{
    *p = (pace){.paused = paused, .due_us = paused ? INT64_MAX : 0};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->settled, NULL);
}

void pace_destroy(pace *p)
{
    pthread_cond_destroy(&p->settled);
    pthread_mutex_destroy(&p->lock);
}

bool pace_tick(pace *p, int64_t now_us)
{
    pthread_mutex_lock(&p->lock);
    bool go = !p->turning && !p->ending && now_us >= p->due_us;
    p->turning = p->turning || go;
    pthread_mutex_unlock(&p->lock);
    return go;
}

bool pace_turn(pace *p, bool *renewed_out)
{
    pthread_mutex_lock(&p->lock);
    bool go = !p->paused && !p->ending;
    *renewed_out = p->renewed;
    p->renewed = false;
    pthread_mutex_unlock(&p->lock);
    return go;
}

void pace_rest(pace *p, int64_t ms, const atomic_bool *news)
{
    pthread_mutex_lock(&p->lock);
    bool now = p->renewed || (news && atomic_load(news));
    p->turning = false;
    p->due_us = now ? 0 : ms == PACE_FOR_EVER ? INT64_MAX : clock_monotonic_us() + ms * 1000;
    pthread_cond_broadcast(&p->settled);
    pthread_mutex_unlock(&p->lock);
}

void pace_pause(pace *p, bool paused)
{
    pthread_mutex_lock(&p->lock);
    p->paused = paused;
    p->renewed = true;
    p->due_us = 0;
    pthread_mutex_unlock(&p->lock);
}

void pace_renew(pace *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->paused) {
        p->renewed = true;
        p->due_us = 0;
    }
    pthread_mutex_unlock(&p->lock);
}

bool pace_is_over(pace *p)
{
    pthread_mutex_lock(&p->lock);
    bool over = p->turning && (p->paused || p->ending);
    pthread_mutex_unlock(&p->lock);
    return over;
}

static void wait_a_moment(pace *p)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += HURRY_NS;
    until.tv_sec += until.tv_nsec / SECOND_NS;
    until.tv_nsec %= SECOND_NS;
    pthread_cond_timedwait(&p->settled, &p->lock, &until);
}

void pace_end(pace *p, void (*hurry)(void *arg), void *arg)
{
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    while (p->turning) {
        pthread_mutex_unlock(&p->lock);
        if (hurry)
            hurry(arg);
        pthread_mutex_lock(&p->lock);
        if (p->turning)
            wait_a_moment(p);
    }
    pthread_mutex_unlock(&p->lock);
}
