/* The life of one alert for one set of labels, as a pure function of time and value.
 *
 *            fire                 held for `for`             clear
 *     ok ───────────► pending ──────────────────► firing ───────────► recovering
 *      ▲                 │ not fire                  ▲   not clear        │
 *      ├─────────────────┘                           └────────────────────┤
 *      └──────────────────────────────────── held for `keep_firing` ──────┘
 *
 *     any ── nothing received for `no_data.after` ──► no_data ── a value ──► where it was (ok, firing,
 * recovering)
 *
 * Times are microseconds on the rule's clock (data time or wall time), never read from a clock here, so the
 * same points give the same history whenever and however often they are replayed. */
#ifndef PENSTOCK_FLOW_ALERT_MACHINE_H
#define PENSTOCK_FLOW_ALERT_MACHINE_H
#include <stdbool.h>
#include <stdint.h>

#include "control/definition.h"

typedef enum alert_phase {
    ALERT_OK,
    ALERT_PENDING,
    ALERT_FIRING,
    ALERT_RECOVERING,
    ALERT_NO_DATA
} alert_phase;
typedef enum alert_event { ALERT_NOTHING, ALERT_FIRED, ALERT_RESOLVED } alert_event;

typedef struct alert_life {
    alert_phase phase;
    alert_phase before_silence; /* meaningful in ALERT_NO_DATA */
    int64_t since_us;           /* when this phase began */
    int64_t episode_us;         /* when the condition of the present episode first held; 0 = no episode */
    int64_t last_us;            /* newest point seen; older ones are ignored */
    double value;               /* newest value */
} alert_life;

/* Takes one point. Points not newer than the last one change nothing. */
alert_event alert_step(const defined_alert *rule, alert_life *life, int64_t at_us, double value);
/* Tells it that nothing was received since `received_us` and it is `now_us` (both wall time). */
alert_event alert_silence(const defined_alert *rule, alert_life *life, int64_t received_us, int64_t now_us);
const char *alert_phase_name(alert_phase phase); /* "ok", "pending", "firing", "recovering", "no_data" */
bool alert_phase_parse(const char *name, alert_phase *phase_out);
#endif
