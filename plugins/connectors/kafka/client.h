/* A client of librdkafka with the connector's settings: where the brokers are, who we are, whom we trust. The
 * library makes its own connections and threads; what goes wrong there is kept here until somebody asks.
 * Functions are for the thread of the call. */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H
#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include "credential.h"

enum { CLIENT_TEXT_MAX = 400, CLIENT_STEP_MS = 100 };

struct share;
typedef struct client {
    const pst_host *host;
    struct share *share;  /* of a member of a group (share.h) */
    rd_kafka_t *kafka;    /* NULL = closed */
    pthread_mutex_t lock; /* of what follows: certificates are judged on the library's threads */
    pst_status fault;     /* the worst since the brokers answered last, PST_OK = none */
    bool away;            /* no broker is reached */
    int64_t doubt_us;     /* since when a broker is missed, 0 = none is */
    int64_t answered_us;  /* when one answered this thread last; 0 = none did */
    int64_t pace_us;      /* how long that took */
    char why[CLIENT_TEXT_MAX];
    char distrust[200]; /* why a certificate was refused */
    char own_name[CREDENTIAL_NAME_MAX];
} client;

void client_init(client *c, const pst_host *host);
void client_end(client *c); /* zeroed is fine */

/* The settings that all kinds of clients have; more may be set before client_open. NULL: `error` is filled.
 */
rd_kafka_conf_t *client_settings(client *c, const pst_call *call, pst_error *error);
pst_status client_set(rd_kafka_conf_t *conf, const char *name, const char *value, pst_error *error);
/* Takes the settings over. */
pst_status client_open(client *c, rd_kafka_type_t type, rd_kafka_conf_t *conf, pst_error *error);
/* `leave`: says goodbye to the group first, with what is stored. */
void client_close(client *c, bool leave);

/* Waits until a broker tells about the topics that are known (`all`: about all); the caller destroys *out. */
pst_status client_wait(client *c, const pst_call *call, bool all, const rd_kafka_metadata_t **out,
                       pst_error *error);
/* Work that the library has for this thread. */
void client_serve(client *c, int wait_ms);
/* Nothing shows that brokers are there: client_probe is to ask them, every second at most. */
void client_doubt(client *c);
/* When a broker is missed: is any of them there? Asks for a tenth of a second; of slow ones for longer. */
void client_probe(client *c);
/* PST_OK, or why nothing can come: no broker is reached, or a person must act. */
pst_status client_state(client *c, pst_error *error);
/* The kind of failure that an error of the library is. */
pst_status client_class(rd_kafka_resp_err_t err);
/* Brokers that the cluster names and `brokers` does not, as text; "" = none. */
void client_unlisted(const client *c, const rd_kafka_metadata_t *found, char *out, size_t size);
#endif
