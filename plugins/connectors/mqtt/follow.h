/* What the connector does besides its fixed subscriptions: things that are seen in topics are subscribed to
 * and poked, and what the broker was once told to send and is no longer wanted is taken back. Which things
 * are known, and which subscriptions were made, is kept by the host's penstock.state, so that it outlives the
 * process as the session does. */
#ifndef MQTT_FOLLOW_H
#define MQTT_FOLLOW_H
#include "session.h"

enum { FOLLOW_SEEN_MAX = 1000, FOLLOW_TEXT_MAX = 256 };

typedef struct follow_thing {
    const settings_follow *rule;
    char parts[FOLLOW_TEXT_MAX]; /* what the wildcards matched, with '/' between */
    int64_t due_us;
} follow_thing;

typedef struct follow {
    const settings *set;
    const pst_state_service *state; /* NULL = none: nothing is kept */
    follow_thing *things;
    size_t n;
    bool full_told, unsaved;
} follow;

void follow_init(follow *f, const settings *set);
void follow_free(follow *f);
/* After CONNACK: the subscriptions of the configuration, then those of the things that are known. */
pst_status follow_begin(follow *f, session *s, const pst_call *call, pst_error *error);
/* A publication came. */
void follow_see(follow *f, session *s, mqtt_span topic);
/* Publishes what is due, keeps what is new. */
void follow_tick(follow *f, session *s, const pst_call *call);
#endif
