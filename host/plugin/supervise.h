/* When a plugin that died may be started again: at once the first time, then after 50 ms doubling up to 30 s
 * with jitter; five deaths in ten minutes put it into quarantine, where it is tried every ten minutes. Pure:
 * the caller brings time and randomness. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_SUPERVISE_H
#define PENSTOCK_PLUGIN_SUPERVISE_H
#include <stdbool.h>
#include <stdint.h>

#define SUPERVISE_FIRST_US 50000L
#define SUPERVISE_LONGEST_US 30000000L
#define SUPERVISE_DEATHS 5
#define SUPERVISE_WINDOW_US 600000000L

typedef struct supervisor {
    int64_t deaths[SUPERVISE_DEATHS]; /* ring of times */
    unsigned n_deaths;                /* ever */
    unsigned in_row;                  /* since the last good call */
    int64_t retry_at_us;
    bool quarantined;
    bool proved; /* a call went well since a death was taken back */
} supervisor;

void supervise_death(supervisor *s, int64_t now_us, uint64_t random);
void supervise_success(supervisor *s);
/* The newest death was not the plugin's fault, but its input's: it is taken back. */
void supervise_absolve(supervisor *s);
/* Quarantine for another reason than deaths. */
void supervise_quarantine(supervisor *s, int64_t now_us);
/* A person, or a new file, gives it another chance at once. */
void supervise_reset(supervisor *s);
/* 0 = start it; else how long to wait. */
int64_t supervise_wait_us(const supervisor *s, int64_t now_us);
#endif
