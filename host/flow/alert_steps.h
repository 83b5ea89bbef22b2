/* The steps of data time that an alert has not been asked for yet: moments at which the store that moves its
 * metric has rows, per entity where the metric's labels are the entity, else of the store as a whole. */
#ifndef PENSTOCK_FLOW_ALERT_STEPS_H
#define PENSTOCK_FLOW_ALERT_STEPS_H
#include "flow/alert_lives.h"
#include "flow/metric.h"
#include "flow/plan.h"
#include "store/connection.h"

typedef struct alert_moment {
    int64_t at_us;      /* start of the bucket */
    const char *labels; /* NULL = the store as a whole */
    uint32_t entity;    /* else its number in `entities` */
} alert_moment;

typedef struct alert_scan {
    const metric_plan *metric; /* has a driver with event times */
    connection *data;          /* the workspace's login */
    const alert_lives *lives;  /* what was seen before */
    int64_t width_us;          /* of a step */
    int64_t now_us, from_us;   /* as alert_parts says */
    arena *arena;              /* steps live there */
} alert_scan;

typedef struct alert_steps {
    alert_moment *items; /* by time */
    uint32_t n;
    const char *const *entities[TABLE_KEY_COLUMNS_MAX]; /* by label of the metric; as text */
    bool more;                                          /* there were too many for one turn */
} alert_steps;

/* The labels of a row of the metric, or of a result that has columns of their names, as JSON. */
const char *alert_labels(const metric_plan *metric, const metric_result *r, uint32_t row, arena *a);
/* ALERT_STEPS_A_TURN of them, or one more. Two statements, however many entities there are. */
status_class alert_steps_read(const alert_scan *scan, alert_steps *out, status *st);
#endif
