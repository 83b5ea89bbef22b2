/* A look at the servers beside what runs: do they take us, which streams are there, what do their messages
 * look like. No consumer is made, and nothing acknowledged. */
#ifndef NATS_LOOK_H
#define NATS_LOOK_H
#include "session.h"

enum { LOOK_MESSAGES = 10 };

/* The newest messages of the stream, oldest first; the caller destroys them. */
pst_status look_at_end(session *l, natsMsg *out[LOOK_MESSAGES], size_t *n_out, pst_error *error);
pst_status look_connection(session *l, const pst_call *call, pst_error *error);
/* Streams with their subjects and some of their newest messages; and what is published on `subjects`. */
pst_status look_discover(session *l, const pst_call *call, pst_blob *json_out, pst_error *error);
#endif
