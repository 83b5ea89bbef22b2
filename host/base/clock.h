/* The one seam for time. Everything in the host that asks for the time asks here, so tests can move it. */
#ifndef PENSTOCK_BASE_CLOCK_H
#define PENSTOCK_BASE_CLOCK_H
#include <stdint.h>

typedef struct clock_source {
    int64_t (*wall_us)(void *self);      /* microseconds since 1970-01-01T00:00:00Z */
    int64_t (*monotonic_us)(void *self); /* never goes back */
    void *self;
} clock_source;

int64_t clock_wall_us(void);      /* any thread */
int64_t clock_monotonic_us(void); /* any thread */
/* Puts another source in place (NULL = the system's). Only at start or in tests, before threads run. */
void clock_use(const clock_source *source);

/* A clock that stands still until it is moved; for tests. Both readings move together. */
typedef struct clock_fake {
    _Atomic int64_t wall, monotonic;
} clock_fake;
void clock_fake_use(clock_fake *fake, int64_t wall_us);
void clock_fake_advance(clock_fake *fake, int64_t us);
#endif
