/* The crew: which writer carries which stream.
 *
 * A store's rows are dealt to shards, and each shard has a writer of its own to begin with, so that several
 * work at a busy store side by side. Where few of its rows come together that only costs: a transaction has a
 * price beside that of its rows. So the shards of such a store go to one writer, which puts them into one
 * transaction, and come back when there is more.
 *
 * A stream changes hands only while no turn has any of it, and where it stands goes along: it has one writer
 * at a time, and its records stay in order. */
#ifndef PENSTOCK_FLOW_CREW_H
#define PENSTOCK_FLOW_CREW_H
#include "flow/writer.h"

#define CREW_FEW_ROWS 64U       /* of a store, in one commit of the journal: one writer takes them all */
#define CREW_BACKLOG_ROWS 1024U /* of a stream: there is work for all of them */

typedef struct crew crew;

/* The writers are the caller's, and outlive the crew's last call. */
crew *crew_create(writer *const *writers, unsigned n);
void crew_free(crew *c); /* NULL is fine */
/* A stream got records; `rows`: of its store, in the commit that brought them. [any], must be cheap: it runs
 * on the journal's thread. */
void crew_appended(crew *c, const journal_stream *stream, uint64_t rows);
#endif
