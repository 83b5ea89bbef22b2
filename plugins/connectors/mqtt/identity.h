/* Who we are to the broker: client identifier, password, key and certificates. Secrets are fetched for one
 * call and wiped after it. */
#ifndef MQTT_IDENTITY_H
#define MQTT_IDENTITY_H
#include "settings.h"
#include "tls.h"

typedef struct identity {
    char client_id[128];
    char password_text[1024];
    const char *password; /* NULL = none */
    pst_blob pem[3];      /* authorities, certificate, key */
    tls_trust trust;
} identity;

pst_status identity_read(const settings *set, const pst_call *call, identity *out, pst_error *error);
/* Somebody else, who takes nobody's session: for a look beside what runs. */
void identity_disguise(identity *i);
void identity_wipe(identity *i);
/* A number for the broker (of all of them, if they share their sessions) and the client identifier: whose
 * cursor it is. */
uint64_t identity_owner(const settings *set, const settings_broker *broker, const identity *i);
#endif
