/* A journal record on its way into its datastore, and what became of its rows.
 *
 * Borrows the journal's record and the plan's store; `rows` live in the writer's arena of one turn. */
#ifndef PENSTOCK_FLOW_WRITE_RECORD_H
#define PENSTOCK_FLOW_WRITE_RECORD_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "flow/journal.h"
#include "flow/ledger.h"
#include "flow/plan.h"

typedef struct write_record {
    const journal_record *record;
    const datastore_plan *store;
    batch rows;                                /* the record's, in the order of the store's columns now */
    bool is_letter;                            /* a dead letter, sent again: counted when it was received */
    uint64_t expected_seq;                     /* of the stream before this record */
    uint64_t stored, updated, duplicate, dead; /* out, after a commit */
} write_record;

/* The record's rows by name in the store's present order; columns that it did not have are absent. */
batch write_record_arrange(const datastore_plan *store, const journal_record *record, arena *a);
/* The names of the columns of `rows`. */
const char *const *write_record_names(const write_record *r, arena *a);
/* What the ledger gets of it, after the commit. */
ledger_counts write_record_counts(const write_record *r);
#endif
