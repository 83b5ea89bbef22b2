/* Which of several brokers serves. They are tried in turn, beginning with the one that served last, or behind
 * it when it failed; while a fallback serves an earlier one is looked for now and then.
 *
 *     none ──open──► one serves ──it fails──► the next is tried first
 *                      │     ▲
 *      an earlier one answers │ brokers_switch
 *                      ▼     │
 *                  leaving: nothing more is taken, until all that was is answered
 */
#ifndef MQTT_BROKERS_H
#define MQTT_BROKERS_H
#include "session.h"

enum { BROKERS_TROUBLE_MAX = 100 };

typedef struct brokers {
    const settings *set;
    size_t at;        /* serves, or is tried first */
    bool trial, told; /* told: how it is, as it is now */
    int64_t look_us;  /* when an earlier one is looked for */
    session next;     /* with the earlier one; tcp.fd -1 = none */
    size_t next_at;
    int64_t leave_us; /* the one that serves is left now, answered or not */
    char trouble[SETTINGS_BROKERS_MAX][BROKERS_TROUBLE_MAX]; /* why one failed last */
} brokers;

void brokers_init(brokers *b, const settings *set);
void brokers_close(brokers *b);
/* A session with one of them; `trial`: beside the one that works, and nothing is kept. When none answers the
 * error is that of the first for which a person is needed, otherwise of the first. */
pst_status brokers_open(brokers *b, const pst_call *call, bool trial, session *out, pst_error *error);
void brokers_failed(brokers *b); /* the one that served */

/* Tells as the connector's health that a fallback serves, and why. When it is time: is an earlier one there?
 * Then brokers_leaving is true. */
void brokers_look(brokers *b, const pst_call *call);
bool brokers_leaving(const brokers *b);
bool brokers_in_haste(const brokers *b); /* it takes too long */
void brokers_switch(brokers *b, session *s);
#endif
