/* One session with a broker: connecting, subscribing, packets in their order, answers, and knowing in time
 * that the other side is gone. The caller sees publications and releases (PUBREL); all else is dealt with
 * here. One thread.
 *
 *     closed ──session_open──► CONNECT sent ──CONNACK──► open ──session_next──► publication, release
 *        ▲                          │ refused              │  └─ nothing: IDLE
 *        └──────────────────────────┴── silence, DISCONNECT, end of the stream: an error
 */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H
#include "identity.h"
#include "outgoing.h"

typedef struct session {
    const settings *set;
    const settings_broker *broker;
    uint64_t owner; /* broker and client: whose cursor it is */
    tcp tcp;
    uint8_t *in; /* packets that came, from `used` to `have` */
    size_t have, used, cap;
    size_t skip;    /* bytes of a publication that is too long, still to come */
    size_t current; /* bytes of the packet that session_next showed */
    outgoing out;
    uint16_t last_id; /* of our own packets */
    bool connected;   /* the broker took us */
    bool resumed;     /* the broker kept the session */
    bool settled;     /* all subscriptions are answered */
    bool lost;        /* the far side does not listen any more */
    unsigned asked;   /* subscriptions that are not answered */
    int64_t subscribed_us;
    int64_t heard_us, asked_us; /* the last bytes from the broker; a ping without an answer, 0 = none */
    int64_t said_us;
    int64_t ping_us; /* silence after which we ask */
} session;

/* `clean`: nothing is kept, for a short look. */
pst_status session_open(session *s, const settings *set, const settings_broker *broker, const pst_call *call,
                        const identity *who, bool clean, pst_error *error);
void session_close(session *s); /* says goodbye where it can, so that our last answers are read; zeroed with
                                   tcp.fd -1 is fine */
pst_status session_subscribe(session *s, const char *const *filters, size_t n);
void session_unsubscribe(session *s, const char *filter);
/* PST_OK: *out is a publication or a release, valid until session_done, and *too_long says that its payload
 * is cut. PST_IDLE: nothing is there now. */
pst_status session_next(session *s, mqtt_packet *out, bool *too_long, pst_error *error);
void session_done(session *s);
/* Asks for a sign of life when it is time; sends what is waiting. */
pst_status session_keep(session *s, const pst_call *call, pst_error *error);
#endif
