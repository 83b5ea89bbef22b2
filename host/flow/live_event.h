/* Rows as a watch of the live view is sent them: one event a row that passes its filters, with the columns
 * that it wants (live.h). */
#ifndef PENSTOCK_FLOW_LIVE_EVENT_H
#define PENSTOCK_FLOW_LIVE_EVENT_H
#include "flow/live.h"

/* The id goes with the last event, so that who has it has all before it; "" = none. */
void live_event_add(const live_wish *w, const batch *rows, const char *const *names, const char *id,
                    text *out);
#endif
