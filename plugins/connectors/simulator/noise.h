/* Chance that can be asked again: every value is a function of (seed, device, channel, time), so a simulation
 * that is resumed anywhere continues exactly. Standard deviation 1 unless said otherwise. */
#ifndef SIMULATOR_NOISE_H
#define SIMULATOR_NOISE_H
#include <stdint.h>

typedef struct noise {
    uint64_t seed;
    uint32_t device;
} noise;

/* 0 … 1, for slot `index` of a channel. */
double noise_uniform(noise n, uint32_t channel, int64_t index);
/* Independent at every time. */
double noise_white(noise n, uint32_t channel, int64_t time_us);
/* Wanders over about `period_us`. */
double noise_smooth(noise n, uint32_t channel, int64_t time_us, int64_t period_us);

#define MINUTE_US 60000000LL
#define HOUR_US (60 * MINUTE_US)
#define DAY_US (24 * HOUR_US)
/* Hours since midnight UTC. */
double noise_hour(int64_t time_us);
/* 0 = Monday */
int noise_weekday(int64_t time_us);
int64_t noise_floor(int64_t time_us, int64_t step_us);
#endif
