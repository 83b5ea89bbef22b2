/* What an alert says: the message of an event, and the deliveries that carry it. */
#ifndef PENSTOCK_FLOW_ALERT_MESSAGE_H
#define PENSTOCK_FLOW_ALERT_MESSAGE_H
#include "flow/alert_lives.h"
#include "flow/plan.h"

/* Queues one delivery a notifier of the rule; inside the caller's transaction. */
status_class alert_message_queue(const flow_plan *plan, const defined_alert *rule, const alert_told *told,
                                 connection *control, arena *a, status *st);
#endif
