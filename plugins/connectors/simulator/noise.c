/* splitmix64's finaliser as a hash; normal values by the Box-Muller transform; slow ones interpolated between
 * normal values on a grid, with the interpolation's loss of variance made good. */
#include "noise.h"

#include <math.h>

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static double uniform(uint64_t hash)
{
    return ((double)(hash >> 11) + 0.5) / 9007199254740992.0;
}

static uint64_t hash_of(noise n, uint32_t channel, int64_t index)
{
    return mix(mix(mix(n.seed) ^ n.device) ^ mix((uint64_t)index ^ ((uint64_t)channel << 56)));
}

double noise_uniform(noise n, uint32_t channel, int64_t index)
{
    return uniform(hash_of(n, channel, index));
}

double noise_white(noise n, uint32_t channel, int64_t time_us)
{
    uint64_t first = hash_of(n, channel, time_us);
    return sqrt(-2 * log(uniform(first))) * cos(6.283185307179586 * uniform(mix(first)));
}

double noise_smooth(noise n, uint32_t channel, int64_t time_us, int64_t period_us)
{
    int64_t slot = noise_floor(time_us, period_us) / period_us;
    double part = (double)(time_us - slot * period_us) / (double)period_us;
    double weight = part * part * (3 - 2 * part), rest = 1 - weight;
    double value = rest * noise_white(n, channel, slot) + weight * noise_white(n, channel, slot + 1);
    return value / sqrt(rest * rest + weight * weight);
}

int64_t noise_floor(int64_t time_us, int64_t step_us)
{
    int64_t rest = time_us % step_us;
    return time_us - rest - (rest < 0 ? step_us : 0);
}

double noise_hour(int64_t time_us)
{
    return (double)(time_us - noise_floor(time_us, DAY_US)) / (double)HOUR_US;
}

int noise_weekday(int64_t time_us)
{
    int64_t day = noise_floor(time_us, DAY_US) / DAY_US; /* 1970-01-01 was a Thursday */
    return (int)(((day + 3) % 7 + 7) % 7);
}
