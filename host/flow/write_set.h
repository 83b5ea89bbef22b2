/* One data-plane transaction: the rows of some journal records, the positions of their streams, the dirty
 * marks of what depends on them, the ledger's counts and the dead letters: all or nothing.
 *
 * A write_set is the reusable state of one writer thread. The records of a call stand in the order of their
 * streams; their stores' partitions must exist already. */
#ifndef PENSTOCK_FLOW_WRITE_SET_H
#define PENSTOCK_FLOW_WRITE_SET_H
#include "flow/dead_letter.h"
#include "flow/write_record.h"
#include "store/connection.h"

typedef struct write_set write_set;

/* `writer`: its number; no two that work at once have the same. */
write_set *write_set_create(const uint8_t incarnation[16], unsigned writer, const letter_limits *letters);
void write_set_free(write_set *w);

/* From now on a transaction is written at once, but committed only when the journal has synced its commit of
 * that number (journal_read_ahead); 0 = nothing to wait for. */
void write_set_follow(write_set *w, journal *j, uint64_t commit);
/* Commits them all. STATUS_CONFLICT: a position was not where it was expected, or the journal lost what was
 * read ahead; nothing was written. STATUS_INVALID: PostgreSQL refuses a row (SQLSTATE class 22 or 23),
 * nothing was written. `careful`: such rows are found by halving and become dead letters; much slower. */
status_class write_set_commit(write_set *w, connection *c, write_record *records, uint32_t n, bool careful,
                              status *st);
#endif
