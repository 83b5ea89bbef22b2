/* The loss ledger: per workspace, store and minute of receipt, received = stored + duplicate + rejected +
 * dropped
 * (+ in flight). A book collects the counts of one transaction and writes them in it. */
#ifndef PENSTOCK_FLOW_LEDGER_H
#define PENSTOCK_FLOW_LEDGER_H
#include "store/connection.h"

typedef struct ledger_counts {
    uint64_t received, stored, updated, duplicate, rejected, dropped;
    uint64_t too_late, expired; /* beside the balance: not computed, removed by retention */
} ledger_counts;

typedef struct ledger_book ledger_book;

ledger_book *ledger_book_create(void);
void ledger_book_free(ledger_book *b);
void ledger_book_clear(ledger_book *b);
void ledger_book_add(ledger_book *b, int32_t wid, const char *store, int64_t received_us,
                     const ledger_counts *counts);
status_class ledger_book_write(ledger_book *b, connection *c, status *st);
#endif
