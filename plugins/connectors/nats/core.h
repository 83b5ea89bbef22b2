/* Subjects without a stream: what is published while we listen. Nothing comes twice, and what comes while
 * nobody takes it is dropped, and counted. */
#ifndef NATS_CORE_H
#define NATS_CORE_H
#include "session.h"

enum { CORE_SUBJECTS_MAX = 50 };

typedef struct core {
    session *session;
    natsSubscription *subjects[CORE_SUBJECTS_MAX];
    size_t n, turn;
} core;

pst_status core_open(core *c, session *l, pst_error *error);
void core_close(core *c); /* zeroed is fine */
/* The next message, the caller's to destroy; NULL with PST_OK: none within `wait_ms`. */
pst_status core_next(core *c, const pst_call *call, int64_t wait_ms, natsMsg **out, pst_error *error);
int64_t core_dropped(const core *c);
/* Subscribes, and leaves: is it permitted? */
pst_status core_try(session *l, pst_error *error);
#endif
