/* A short look at the broker with a session of its own that leaves nothing behind: does it take us, and which
 * topics speak within a few seconds. */
#ifndef MQTT_CHECK_H
#define MQTT_CHECK_H
#include "settings.h"

/* Connects, subscribes, and leaves. */
pst_status check_connection(const settings *set, const pst_call *call, pst_error *error);
/* Listens for discover_s seconds: a stream with the schema of what came, the topics, and an example. */
pst_status check_discover(const settings *set, const pst_call *call, pst_blob *json_out, pst_error *error);
#endif
