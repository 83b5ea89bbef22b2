/* Alerts: a metric's value for each set of labels, fed to the alert's state machine.
 *
 * On the wall clock the metric is asked now. On the data clock it is asked as of every step of data time
 * since the last one, so the history does not depend on when it was asked (docs/adr/0004). States and
 * deliveries are saved in one control-plane transaction: an event is told at least once, with an id made of
 * the event. */
#ifndef PENSTOCK_FLOW_ALERT_H
#define PENSTOCK_FLOW_ALERT_H
#include "flow/alert_machine.h"
#include "flow/plan.h"
#include "flow/poison.h"
#include "plugin/instance.h"
#include "store/connection.h"

#define ALERT_STEPS_A_TURN 500
#define ALERT_LABELS_MAX 10000 /* label sets of one alert */

typedef struct alert_parts {
    const flow_plan *plan;
    const defined_alert *rule;
    connection *data; /* the workspace's login */
    connection *control;
    instance *engine; /* of a plugin metric; else NULL */
    int64_t now_us;
    int64_t from_us;   /* of derived rows: those before have been looked at. INT64_MIN: nothing is known,
                          INT64_MAX:   there are none */
    poison_ward *ward; /* of the workspace; may be NULL */
} alert_parts;

typedef struct alert_result {
    uint32_t points, fired, resolved;
    bool more;               /* steps are left: come again at once */
    bool on_rows;            /* its clock is data time: without new rows only silence can change it … */
    int64_t next_silence_us; /* … which it does then; INT64_MAX = never */
} alert_result;

status_class alert_evaluate(const alert_parts *parts, alert_result *out, status *st);
#endif
