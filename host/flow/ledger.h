/* The loss ledger: per workspace, store and minute of receipt, received = stored + duplicate + rejected +
 * dropped (+ in flight). A book collects the counts of one transaction and writes them in it.
 *
 * A row stands in one place of the balance at a time. A dead letter that is sent again and taken moves from
 * rejected to stored or duplicate, in the minute in which it was received first; one that is thrown away
 * moves to dropped. So counts may be negative, and received never changes.
 *
 * A store's minute has a row for each keeper that booked in it, and the sums of them are what counts: a
 * writer whose row is its own does not wait at it until another writer's commit has reached the disk. */
#ifndef PENSTOCK_FLOW_LEDGER_H
#define PENSTOCK_FLOW_LEDGER_H
#include "store/connection.h"

typedef struct ledger_counts {
    int64_t received, stored, updated, duplicate, rejected, dropped;
    /* beside the balance: */
    int64_t too_late, expired;     /* not computed, removed by retention */
    int64_t letters, letter_bytes; /* in the table of dead letters */
    int64_t unkept;                /* rejected, without a letter: there were too many */
    int64_t purged;                /* of dropped: thrown away by somebody */
} ledger_counts;

typedef struct ledger_book ledger_book;

/* Keepers: everybody but writers, and the first of the writers. */
enum { LEDGER_OTHERS = 0, LEDGER_WRITERS = 1 };

ledger_book *ledger_book_create(unsigned keeper);
void ledger_book_free(ledger_book *b);
void ledger_book_clear(ledger_book *b);
void ledger_book_add(ledger_book *b, int32_t wid, const char *store, int64_t received_us,
                     const ledger_counts *counts);
status_class ledger_book_write(ledger_book *b, connection *c, status *st);
/* The same as statements that go along with others, where they are few: their number, 0 = none, or more than
 * `most`. What they need lives until the book is written, cleared or added to; it is clear then. */
unsigned ledger_book_calls(ledger_book *b, statement_call *calls, unsigned most);
#endif
