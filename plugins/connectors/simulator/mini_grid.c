/* A village mini-grid: solar field, battery, diesel set, households.
 *
 * Irradiance from the sun's height (declination by Cooper's formula, latitude 9° N) through clouds that
 * wander. The battery takes what is over and gives what is missing; the diesel set starts below 30 % charge
 * and runs until 65 %, and all of Sunday evening, so that the week begins with a full battery (lead-acid
 * batteries need such an equalising charge). That is also what makes the state of charge a function of time:
 * it is summed up in steps of five minutes from Monday, 00:00 UTC. Faults: inverter    the solar inverter is
 * off soiling     dust on the panels: 60 % of the yield is gone no-fuel     the diesel set does not start */
#include <math.h>

#include "scene.h"

enum { INVERTER, SOILING, NO_FUEL };
enum { NOISE_CLOUD = 40, NOISE_CLOUD_FAST, NOISE_LOAD, NOISE_LOAD_FAST, NOISE_METER };
static const double SOLAR_KWP = 60, BATTERY_KWH = 240, DIESEL_KW = 40, RADIANS = 0.017453292519943295;
static const double CHARGE_FULL = 0.95, CHARGE_START = 0.30, CHARGE_STOP = 0.65, CHARGE_EMPTY = 0.1;
static const int64_t STEP_US = 5 * MINUTE_US;

static double irradiance(noise n, int64_t time_us)
{
    double day = floor((double)time_us / (double)DAY_US);
    double declination =
        23.45 * RADIANS * sin(6.283185307179586 * (284 + fmod(day, 365.2425) + 1) / 365.2425);
    double hour_angle = (noise_hour(time_us) - 12) * 15 * RADIANS, latitude = 9 * RADIANS;
    double height = sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hour_angle);
    if (height <= 0)
        return 0;
    double cover = 0.35 + 0.3 * noise_smooth(n, NOISE_CLOUD, time_us, 3 * HOUR_US) +
                   0.15 * noise_smooth(n, NOISE_CLOUD_FAST, time_us, 15 * MINUTE_US);
    return 1080 * pow(height, 1.15) * (1 - 0.72 * fmin(1, fmax(0, cover)));
}

static double load_kw(noise n, int64_t time_us)
{
    double h = noise_hour(time_us);
    double evening = exp(-pow((h - 20) / 2.1, 2)), morning = exp(-pow((h - 7) / 1.6, 2));
    double shops = noise_weekday(time_us) < 6 ? exp(-pow((h - 13) / 3.5, 2)) : 0;
    double level = 5 + 15 * evening + 5 * morning + 7 * shops;
    return level * (1 + 0.06 * noise_smooth(n, NOISE_LOAD, time_us, 2 * HOUR_US) +
                    0.04 * noise_smooth(n, NOISE_LOAD_FAST, time_us, 4 * MINUTE_US));
}

static double solar_kw(noise n, int64_t time_us, fault_effect effect)
{
    double yield = 0.82 * SOLAR_KWP * irradiance(n, time_us) / 1000;
    if (effect.kind == INVERTER)
        yield *= 1 - effect.strength;
    return effect.kind == SOILING ? yield * (1 - 0.6 * effect.strength) : yield;
}

static int is_equalising(int64_t time_us)
{
    return noise_weekday(time_us) == 6 && noise_hour(time_us) >= 14;
}

/* Battery and diesel set at the step of `time_us`; the memory goes on from an earlier step of the same week.
 * Faults do not reach into this sum: it must not depend on when a fault was planted. */
static void advance(noise n, int64_t time_us, scene_memory *m)
{
    int64_t week = noise_floor(time_us - 4 * DAY_US, 7 * DAY_US) + 4 * DAY_US; /* 1970-01-05 was a Monday */
    int64_t target = noise_floor(time_us, STEP_US);
    if (m->step < week || m->step > target || !m->a)
        *m = (scene_memory){.step = week, .a = CHARGE_FULL};
    for (; m->step < target; m->step += STEP_US) {
        double surplus = solar_kw(n, m->step, (fault_effect){-1, 0}) - load_kw(n, m->step);
        m->on = m->a < CHARGE_START || (m->on && m->a < CHARGE_STOP) || is_equalising(m->step);
        double power = surplus + (m->on ? DIESEL_KW : 0);
        m->a += power * (power > 0 ? 0.94 : 1) / BATTERY_KWH / 12;
        m->a = fmin(CHARGE_FULL, fmax(CHARGE_EMPTY, m->a));
    }
}

static void read_grid(noise n, int64_t time_us, fault_effect effect, scene_memory *memory, scene_reading *out)
{
    advance(n, time_us, memory);
    double solar = solar_kw(n, time_us, effect), load = load_kw(n, time_us), charge = memory->a;
    double diesel = memory->on && effect.kind != NO_FUEL ? DIESEL_KW * 0.97 : 0;
    double battery = solar + diesel - load; /* into the battery; a full one curtails the solar field */
    if (charge >= CHARGE_FULL && battery > 0) {
        diesel = fmin(diesel, load);
        solar = fmin(solar, load - diesel);
        battery = 0;
    }
    double share = (double)(time_us - memory->step) / (double)HOUR_US * battery / BATTERY_KWH;
    double v[] = {irradiance(n, time_us),
                  solar,
                  load,
                  battery,
                  diesel,
                  100 * fmin(CHARGE_FULL, fmax(CHARGE_EMPTY, charge + share))};
    for (uint32_t k = 0; k < sizeof v / sizeof v[0]; k++)
        out->values[k] = round(v[k] * (1 + 0.003 * noise_white(n, NOISE_METER + k, time_us)) * 1000) / 1000;
    out->status = effect.kind >= 0 && effect.strength >= 1 ? SCENE_FAULT
                  : effect.kind >= 0                       ? SCENE_WARN
                                                           : SCENE_OK;
}

static const char *const columns[] = {"irradiance", "solar_kw",  "load_kw",
                                      "battery_kw", "diesel_kw", "battery_soc"};
static const char *const faults[] = {"inverter", "soiling", "no-fuel"};

const scene scene_mini_grid = {
    .name = "mini-grid",
    .device_prefix = "site-",
    .columns = columns,
    .n_columns = 6,
    .faults = faults,
    .n_faults = 3,
    .read = read_grid,
};
