/* Answers that an Idempotency-Key repeats, kept for 24 hours in the control plane. Functions run on a lane
 * with a control-plane connection. */
#ifndef PENSTOCK_CONTROL_IDEMPOTENCY_H
#define PENSTOCK_CONTROL_IDEMPOTENCY_H
#include "store/connection.h"

typedef enum idempotency_state {
    IDEMPOTENCY_FIRST,    /* go on, then finish */
    IDEMPOTENCY_ANSWERED, /* *http_status_out and the body are what was answered */
    IDEMPOTENCY_UNDER_WAY,
    IDEMPOTENCY_DIFFERS, /* the key was used for another request */
} idempotency_state;

/* A request that did not finish within ten minutes (its host died) counts as not begun. */
status_class idempotency_start(connection *c, const char *who, const char *key, const uint8_t hash[32],
                               idempotency_state *state_out, int *http_status_out, text *body_out,
                               status *st);
/* `http_status` 0 = forget it: a repetition may do better. */
status_class idempotency_finish(connection *c, const char *who, const char *key, int http_status,
                                const char *body, size_t len, status *st);
#endif
