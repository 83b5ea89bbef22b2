/* One data-plane transaction: the rows of some journal records, the positions of their streams, the dirty
 * marks of what depends on them, the ledger's counts and the dead letters: all or nothing.
 *
 * A write_set is the reusable state of one writer thread. The records of a call stand in the order of their
 * streams; their stores' partitions must exist already. */
#ifndef PENSTOCK_FLOW_WRITE_SET_H
#define PENSTOCK_FLOW_WRITE_SET_H
#include <stdbool.h>
#include <stdint.h>

#include "flow/dead_letter.h"
#include "flow/journal.h"
#include "flow/plan.h"
#include "store/connection.h"

typedef struct write_set write_set;

typedef struct write_record {
    const journal_record *record;
    const datastore_plan *store;
    batch rows;                                /* the record's, in the order of the store's columns now */
    bool is_letter;                            /* a dead letter, sent again: counted when it was received */
    uint64_t expected_seq;                     /* of the stream before this record */
    uint64_t stored, updated, duplicate, dead; /* out, after a commit */
} write_record;

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
/* The record's rows by name in the store's present order; columns that it did not have are absent. */
batch write_rows_arrange(const datastore_plan *store, const journal_record *record, arena *a);
/* What the ledger gets of it, after the commit. */
ledger_counts write_record_counts(const write_record *r);
/* The position of a stream as the data plane has it; 0 = none. */
status_class write_position_read(const uint8_t incarnation[16], connection *c, const journal_record *record,
                                 uint64_t *seq_out, status *st);
#endif
