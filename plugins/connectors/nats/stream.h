/* A stream of JetStream, read by a durable consumer that is pulled. What is handed over is acknowledged when
 * it is durable, a batch at a time; the server's answer to the last acknowledgement is waited for. */
#ifndef NATS_STREAM_H
#define NATS_STREAM_H
#include "session.h"
#include "taken.h"

typedef struct stream {
    session *session;
    natsSubscription *pull;
    natsMsg **waiting; /* for their acknowledgement, in order */
    size_t n, cap;
    uint64_t batch; /* which they belong to */
    natsMsgList fetched;
    int n_ahead, at_ahead; /* of those that were fetched: how many, and which is the next */
    int64_t looked_us;     /* when the consumer was asked for while nothing came */
} stream;

/* The stream and its consumer are there, or made; `taken` begins at the cursor. */
pst_status stream_open(stream *s, session *l, taken *t, pst_bytes cursor, pst_error *error);
void stream_close(stream *s); /* zeroed is fine */
/* The next message, NULL with PST_OK: none within `wait_ms`. It stays the stream's: keep it for its
 * acknowledgement. */
pst_status stream_next(stream *s, int max, int64_t wait_ms, natsMsg **out, pst_error *error);
bool stream_keep(stream *s, natsMsg *m); /* false: no memory */
void stream_cut(stream *s, uint64_t batch);
/* The batch, and those before it, are durable. */
pst_status stream_ack(stream *s, uint64_t batch, pst_error *error);
#endif
