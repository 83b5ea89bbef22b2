/* The dead letters of a workspace as people see them: listed, shown, corrected, thrown away. With a
 * connection of the service's login, on a lane. (letter_replay.h sends them again; dead_letter.h is the
 * writer's side.) */
#ifndef PENSTOCK_FLOW_LETTERS_H
#define PENSTOCK_FLOW_LETTERS_H
#include "store/connection.h"

#define LETTERS_PURGE_MAX 10000 /* of one call */

typedef struct letter_filter { /* NULL and 0 let everything pass */
    const char *store, *code;
    int64_t from_us, to_us; /* of receipt, [from, to) */
    const char *const *ids;
    size_t n_ids; /* with ids: only these */
} letter_filter;

/* id, store, code, pointer, detail, received, origin, request, form, attempts, signal, tried, fixed, fixed_by
 * — newest first, older than `before` (NULL = from the newest). */
status_class letters_list(connection *c, int32_t wid, const letter_filter *filter, const char *before,
                          uint32_t limit, rows **out, status *st);
/* The same with revision, body, header and correction, one row or none. */
status_class letters_show(connection *c, int32_t wid, const char *id, rows **out, status *st);
/* id, revision, store, origin, form, header, body, correction — oldest first, behind `after`. */
status_class letters_to_send(connection *c, int32_t wid, const letter_filter *filter, const char *after,
                             uint32_t limit, rows **out, status *st);
/* The row as it should have been, one JSON object; what came first stays beside it. STATUS_CONFLICT when the
 * letter is not at that revision any more, STATUS_LIMIT beyond REJECTED_BYTES_MAX. */
status_class letters_fix(connection *c, int32_t wid, const char *id, int64_t revision, const char *json,
                         size_t len, const char *actor, status *st);
/* Throws away, oldest first, at most LETTERS_PURGE_MAX; the rows are booked as dropped (purged). One
 * transaction. */
status_class letters_purge(connection *c, int32_t wid, const letter_filter *filter, int64_t *n_out,
                           status *st);
#endif
