#include "flow/pace.h"

#include "base/clock.h"

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

void pace_end(pace *p)
{
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    while (p->turning)
        pthread_cond_wait(&p->settled, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
