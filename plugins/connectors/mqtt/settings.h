/* The connector's configuration, read once. Texts are the host's and live as long as the instance. */
#ifndef MQTT_SETTINGS_H
#define MQTT_SETTINGS_H
#include "packet.h"
#include "tcp.h"

enum {
    SETTINGS_BROKERS_MAX = 4,
    SETTINGS_FILTERS_MAX = 100,
    SETTINGS_FOLLOW_MAX = 20,
    SETTINGS_FOLLOW_FILTERS_MAX = 8
};

/* Something to do while connected: for each that is seen, or once if `seen` is NULL. {1} … {9} in texts stand
 * for what the wildcards of `seen` matched. */
typedef struct settings_follow {
    const char *seen;
    const char *topics[SETTINGS_FOLLOW_FILTERS_MAX];
    size_t n_topics;
    const char *publish, *payload; /* NULL = nothing is published */
    int64_t every_us;
} settings_follow;

typedef struct settings_broker {
    tcp_place place;
    bool tls;
} settings_broker;

typedef struct settings {
    const pst_host *host;
    settings_broker brokers[SETTINGS_BROKERS_MAX]; /* the first is /broker, then /fallbacks */
    size_t n_brokers;
    int64_t return_us;    /* after so long an earlier one is looked for; 0 = never */
    bool shared_sessions; /* the brokers are one cluster, and hand a session from one to the other */
    bool sparkplug, has_password;
    int version;
    const char *user, *client_id; /* NULL = none given */
    const char *filters[SETTINGS_FILTERS_MAX];
    size_t n_filters;
    uint8_t qos;
    uint16_t in_flight, patience_s;
    uint32_t expiry_s;
    size_t packet_max;
    settings_follow follow[SETTINGS_FOLLOW_MAX];
    size_t n_follow;
} settings;

pst_status settings_read(const pst_host *host, settings *out, pst_error *error);
#endif
