/* A scene: what the devices are, which columns they report, and the physics behind one reading. */
#ifndef SIMULATOR_SCENE_H
#define SIMULATOR_SCENE_H
#include "fault.h"
#include "noise.h"

#define SCENE_COLUMNS_MAX 8u

enum { SCENE_OK, SCENE_WARN, SCENE_FAULT };
typedef struct scene_reading {
    double values[SCENE_COLUMNS_MAX];
    int status;
} scene_reading;

typedef struct scene_memory { /* a cache a device: what is expensive to compute again for every reading */
    int64_t step;
    double a, b;
    int on;
} scene_memory;

typedef struct scene {
    const char *name, *device_prefix;
    const char *const *columns; /* beside time, device_id and status */
    uint32_t n_columns;
    const char *const *faults;
    uint32_t n_faults;
    /* A function of (n, time, effect) alone; `memory` only saves time and starts zeroed. */
    void (*read)(noise n, int64_t time_us, fault_effect effect, scene_memory *memory, scene_reading *out);
} scene;

extern const scene scene_pump_station, scene_mini_grid;
#endif
