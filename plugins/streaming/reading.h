/* A connector that reads from a broker, apart from its protocol: the batch at hand, when to connect again,
 * and passing over what kills. One thread, inside a call. */
#ifndef STREAMING_READING_H
#define STREAMING_READING_H
#include <stdbool.h>

#include "penstock/batch.h"

typedef struct reading {
    const pst_host *host;
    pst_builder *builder;
    uint32_t events;   /* of this read: what its cursor stands for */
    bool aside;        /* records are handed over as rejects: the host asked to pass over them */
    uint32_t retry_ms; /* when to connect again; 0 = there was no failure since the last record */
} reading;

pst_status reading_init(reading *r, const pst_host *host, pst_error *error);
void reading_end(reading *r); /* zeroed is fine */

void reading_begin(reading *r); /* a read: nothing of it is there yet */
bool reading_has_room(const reading *r, uint32_t max_rows);
/* A record with what stands beside it; one to be passed over as a reject from `where`. One without a payload
 * (NULL) makes no row. */
void reading_add(reading *r, const void *payload, size_t len, const char *meta, const char *where);
/* A record that makes no row, and why; of a long one the beginning. */
void reading_reject(reading *r, const void *payload, size_t len, const char *where, const char *why);
pst_status reading_finish(reading *r, const char *stream, pst_bytes cursor, uint32_t flags, pst_batch *out,
                          pst_error *error);

/* Gives `st` back. A broker that is away is asked again within seconds, however long it was away. */
pst_status reading_failed(reading *r, pst_status st, pst_error *error);

typedef pst_status reading_read(void *self, const pst_call *call, uint32_t max, pst_batch *out,
                                pst_error *error);
/* Reads with `aside` until the record that is to be passed over has come, or the call's time is over. */
pst_status reading_skip(reading *r, reading_read *read, void *self, const pst_call *call, uint32_t max,
                        pst_batch *out, pst_error *error);

/* What a connector that reads offers; NULL: not that. */
const void *reading_interface(const char *id, const pst_source *source, const pst_check *check,
                              const pst_discover *discover);
#endif
