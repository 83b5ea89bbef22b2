/* Which fault a device has at a time: planted ones ("cavitation:pump-2:40m"), and with faults: random some by
 * chance. */
#ifndef SIMULATOR_FAULT_H
#define SIMULATOR_FAULT_H
#include <stdbool.h>
#include <stddef.h>

#include "noise.h"
#include "penstock/batch.h"

#define FAULTS_PLANTED_MAX 32u

typedef struct fault_planted {
    uint32_t kind, device; /* kind: index into the scene's faults */
    int64_t before_us,
        duration_us; /* starts that long before the end of the back-fill; duration 0 = until cleared */
} fault_planted;

typedef struct fault_plan {
    bool random;
    uint32_t n_planted, n_kinds;
    fault_planted planted[FAULTS_PLANTED_MAX];
} fault_plan;

typedef struct fault_effect {
    int kind;        /* -1 = none */
    double strength; /* 0 … 1: a fault grows over two minutes */
} fault_effect;

typedef struct fault_scene { /* what a plan's text may name */
    const char *device_prefix;
    const char *const *kinds;
    uint32_t n_kinds, devices;
} fault_scene;

/* "none", or kind:device:before[:duration] with commas between several. */
pst_status fault_parse(const char *text, const fault_scene *scene, fault_plan *plan, pst_error *error);
fault_effect fault_at(const fault_plan *plan, noise n, int64_t time_us, int64_t backfill_end_us);

/* "7d", "1h30m", "10s" → microseconds; false if it is not such a text. */
bool fault_duration(const char *text, size_t len, int64_t *us_out);
#endif
