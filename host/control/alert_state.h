/* Where each alert stands, one row for each set of labels, in the control plane. Saved in the transaction
 * that queues the deliveries, so an event is never lost and never told twice. Functions run on a lane with a
 * control-plane connection. */
#ifndef PENSTOCK_CONTROL_ALERT_STATE_H
#define PENSTOCK_CONTROL_ALERT_STATE_H
#include <stdbool.h>

#include "base/arena.h"
#include "store/connection.h"

typedef struct alert_record {
    const char *alert;
    const char *labels;         /* compact JSON object, keys in the order of the metric's labels */
    const char *phase, *before; /* names of the phases (ok, pending, firing, recovering, no_data) */
    int64_t since_us, episode_us, last_us;
    int64_t received_us;  /* wall time of the last point */
    double value;         /* NaN = none */
    const char *acked_by; /* NULL = not acknowledged */
} alert_record;

/* Of one alert, or of all of the workspace (`alert` NULL), ordered by alert and labels; in the arena. */
status_class alert_states_read(connection *c, int32_t wid, const char *alert, arena *a, alert_record **out,
                               uint32_t *n_out, status *st);
/* All of them in one statement, each alert's labels once. */
status_class alert_states_save(connection *c, int32_t wid, const alert_record *records, uint32_t n, arena *a,
                               status *st);
/* STATUS_NOT_FOUND when there is no such alert with such labels. */
status_class alert_state_ack(connection *c, int32_t wid, const char *alert, const char *labels,
                             const char *by, status *st);
#endif
