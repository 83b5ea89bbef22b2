/* Centrifugal pumps that feed a town's network.
 *
 * Pump curve by the affinity laws (Gülich, Centrifugal Pumps, ch. 1 and 3): head = n^2 H0 - a Q^2 at relative
 * speed n. System curve: head = Hs + k Q^2 / v^2, v = how far the consumers' valves are open, which follows
 * the hours of the day. The two curves' crossing is the working point. The motor's temperature follows the
 * shaft power with a lag of an hour. Wear takes one percent of head in about three months. Faults: cavitation
 * vapour in the impeller: a third of the head is gone, pressure shakes blockage    the discharge is half
 * shut: little flow, high pressure leak        between pump and meter: less pressure, much less measured flow
 *   slowdown    the drive turns 15 % too slowly */
#include <math.h>

#include "scene.h"

enum { CAVITATION, BLOCKAGE, LEAK, SLOWDOWN };
enum { NOISE_DEMAND = 1, NOISE_DEMAND_SLOW, NOISE_PRESSURE, NOISE_FLOW, NOISE_SHAKE, NOISE_MACHINE };
static const double HEAD_SHUT_M = 62, HEAD_STATIC_M = 14, FLOW_NOMINAL_LPM = 1000, BAR_PER_M = 0.0980665;

/* 0 … 1: two peaks on working days, a later and flatter one at weekends. */
static double demand_of_hour(int64_t time_us)
{
    double h = noise_hour(time_us);
    int weekend = noise_weekday(time_us) >= 5;
    double morning = exp(-pow((h - (weekend ? 9.5 : 7.2)) / (weekend ? 2.4 : 1.5), 2));
    double evening = exp(-pow((h - 19.3) / 2.2, 2));
    double day = 1 / (1 + exp(-(h - 6) / 0.7)) - 1 / (1 + exp(-(h - 22.5) / 0.7));
    return 0.18 + 0.30 * day + 0.36 * morning + 0.34 * evening;
}

typedef struct working_point {
    double head_m, flow_lpm, measured_lpm;
} working_point;

static working_point working_point_at(noise n, int64_t time_us, fault_effect effect)
{
    double strength = effect.strength, speed = 1, open = 1, head = HEAD_SHUT_M, lost = 0;
    double machine = 1 + 0.03 * noise_white(n, NOISE_MACHINE, 0);
    double demand = demand_of_hour(time_us) + 0.02 * noise_smooth(n, NOISE_DEMAND, time_us, 20 * MINUTE_US) +
                    0.03 * noise_smooth(n, NOISE_DEMAND_SLOW, time_us, 5 * HOUR_US);
    demand = fmin(1.1, fmax(0.1, demand));
    double wear = 0.01 * fmod((double)time_us / (90.0 * (double)DAY_US), 4.0); /* overhauled once a year */
    if (effect.kind == CAVITATION)
        head *= 1 - 0.34 * strength;
    if (effect.kind == BLOCKAGE)
        open = 1 - 0.55 * strength;
    if (effect.kind == SLOWDOWN)
        speed = 1 - 0.15 * strength;
    if (effect.kind == LEAK)
        lost = 0.35 * strength;
    double flow_n = FLOW_NOMINAL_LPM * machine;
    double slope = 0.42 * HEAD_SHUT_M / (flow_n * flow_n), valve = 0.28 + 0.9 * demand;
    double system = 0.36 * HEAD_SHUT_M / (flow_n * flow_n) / (valve * open * valve * open) / (1 + lost);
    double drive = speed * speed * head * (1 - wear);
    double flow = sqrt(fmax(0, drive - HEAD_STATIC_M) / (slope + system));
    return (working_point){drive - slope * flow * flow, flow, flow * (1 - lost)};
}

/* Kelvin above the surroundings in the long run, by the power that stays in the motor. */
static double heating(noise n, int64_t time_us, fault_effect effect)
{
    working_point w = working_point_at(n, time_us, effect);
    double shaft_kw = w.head_m * w.flow_lpm * 9.81 / 60000 / 0.68 + 1.2;
    return 4.2 * shaft_kw * (effect.kind == CAVITATION ? 1 + 0.4 * effect.strength : 1);
}

/* First-order lag of an hour, summed over the last three hours in steps of a quarter. The working point
 * changes slowly beside that, so the steps are aligned and the sum is kept until the next. */
static double motor_celsius(noise n, int64_t time_us, fault_effect effect, scene_memory *memory)
{
    const int64_t step_us = 15 * MINUTE_US;
    int64_t step = noise_floor(time_us, step_us);
    if (memory->step != step || memory->on != 1) {
        double sum = 0, weights = 0;
        for (int k = 0; k < 12; k++) {
            double weight = exp(-0.25 * k);
            sum += weight * heating(n, step - k * step_us, (fault_effect){-1, 0});
            weights += weight;
        }
        *memory = (scene_memory){.step = step, .a = sum / weights, .on = 1};
    }
    double ambient = 18 + 5 * sin((noise_hour(time_us) - 9) * 0.2618);
    double extra = effect.kind == CAVITATION ? 9 * effect.strength : 0;
    return ambient + memory->a + extra;
}

static void read_pump(noise n, int64_t time_us, fault_effect effect, scene_memory *memory, scene_reading *out)
{
    working_point w = working_point_at(n, time_us, effect);
    double shake =
        effect.kind == CAVITATION ? 0.06 * effect.strength * noise_white(n, NOISE_SHAKE, time_us) : 0;
    double pressure = w.head_m * BAR_PER_M * (1 + 0.004 * noise_white(n, NOISE_PRESSURE, time_us) + shake);
    double flow = w.measured_lpm * (1 + 0.008 * noise_white(n, NOISE_FLOW, time_us) + shake / 2);
    double celsius = motor_celsius(n, time_us, effect, memory);
    out->values[0] = round(fmin(400, fmax(0, pressure)) * 1000) / 1000;
    out->values[1] = round(fmax(0, flow) * 10) / 10;
    out->status = effect.kind >= 0 && effect.strength >= 1 && effect.kind != LEAK ? SCENE_FAULT
                  : effect.kind >= 0 || celsius > 95                              ? SCENE_WARN
                                                                                  : SCENE_OK;
}

static const char *const columns[] = {"pressure", "flow"};
static const char *const faults[] = {"cavitation", "blockage", "leak", "slowdown"};

const scene scene_pump_station = {
    .name = "pump-station",
    .device_prefix = "pump-",
    .columns = columns,
    .n_columns = 2,
    .faults = faults,
    .n_faults = 4,
    .read = read_pump,
};
