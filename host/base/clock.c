#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t system_read(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_wall_us(void *self)
{
    (void)self;
    return system_read(CLOCK_REALTIME);
}

static int64_t system_monotonic_us(void *self)
{
    (void)self;
    return system_read(CLOCK_MONOTONIC);
}

static const clock_source system_source = {system_wall_us, system_monotonic_us, NULL};
static clock_source current = {system_wall_us, system_monotonic_us, NULL};

int64_t clock_wall_us(void)
{
    return current.wall_us(current.self);
}

int64_t clock_monotonic_us(void)
{
    return current.monotonic_us(current.self);
}

void clock_use(const clock_source *source)
{
    current = source ? *source : system_source;
}

static int64_t fake_wall_us(void *self)
{
    return ((clock_fake *)self)->wall;
}

static int64_t fake_monotonic_us(void *self)
{
    return ((clock_fake *)self)->monotonic;
}

void clock_fake_use(clock_fake *fake, int64_t wall_us)
{
    fake->wall = wall_us;
    fake->monotonic = 1000000;
    clock_use(&(clock_source){fake_wall_us, fake_monotonic_us, fake});
}

void clock_fake_advance(clock_fake *fake, int64_t us)
{
    fake->wall += us;
    fake->monotonic += us;
}
