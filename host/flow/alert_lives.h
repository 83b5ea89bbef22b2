/* The lives of one alert while it is evaluated: read from the control plane, moved by points, saved with what
 * they have to tell. */
#ifndef PENSTOCK_FLOW_ALERT_LIVES_H
#define PENSTOCK_FLOW_ALERT_LIVES_H
#include "base/arena.h"
#include "flow/alert_machine.h"
#include "store/connection.h"

typedef struct alert_lives alert_lives;

typedef struct alert_told { /* an event that somebody may have to hear */
    alert_event event;
    const char *labels;
    int64_t at_us, episode_us;
    double value;
} alert_told;

status_class alert_lives_read(connection *control, int32_t wid, const defined_alert *rule, arena *a,
                              alert_lives **out, status *st);
/* When the labels' newest point was, on the rule's clock; INT64_MIN = never. */
int64_t alert_lives_last(const alert_lives *l, const char *labels);
/* Feeds one point; `labels` are copied. False when there are ALERT_LABELS_MAX label sets and this is a new
 * one. */
bool alert_lives_feed(alert_lives *l, const char *labels, int64_t at_us, double value, int64_t now_us);
/* The moment passed without a value for these labels: the next steps come after it, nothing else changes. */
void alert_lives_pass(alert_lives *l, const char *labels, int64_t at_us);
/* Tells every life what time it is: those that nothing was received of may fall silent. */
void alert_lives_silence(alert_lives *l, int64_t now_us);
/* When the next one of them will have been silent for too long; INT64_MAX = none will. */
int64_t alert_lives_next_silence(const alert_lives *l, int64_t now_us);
uint32_t alert_lives_told(const alert_lives *l, const alert_told **out);
/* Saves what changed; inside the caller's transaction. */
status_class alert_lives_save(alert_lives *l, connection *control, status *st);
#endif
