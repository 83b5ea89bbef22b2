/* Writes rows of a store that has a natural key: one prepared INSERT … SELECT unnest(binary arrays) … ON
 * CONFLICT, for the rows of many requests together. No staging table: nothing to create, to truncate or to
 * vacuum, any login may do it, and several stores go into one transaction without meeting. The batch is first
 * reduced to one row per key and sorted by it (so two writers lock in one order; a caller with several stores
 * in a transaction goes by table name). keep_first: an existing row stays.  keep_last: the row wins unless
 * the stored one is newer by _seq (or `version`). merge: only columns present in the input overwrite, an
 * explicit null clears, unless the stored row is newer. Runs inside the caller's transaction. */
#ifndef PENSTOCK_STORE_UPSERT_H
#define PENSTOCK_STORE_UPSERT_H
#include "store/connection.h"
#include "store/table.h"

typedef struct upsert upsert; /* compiled once per store and definition; immutable, any thread */

typedef struct upsert_counts {
    int64_t stored;    /* rows that are new */
    int64_t updated;   /* rows that replaced or changed a stored one */
    int64_t duplicate; /* rows that changed nothing: repeated in the batch, kept out by the first, or older */
} upsert_counts;

upsert *upsert_create(const store_table *table);
void upsert_free(upsert *u);
/* `b` has the table's columns (and _extra) in order. Rows' _seq is first_seq + row number. Feature- and
 * inferencestores have no _seq: first_seq and received_us are ignored and a later batch wins. */
status_class upsert_write(connection *c, const upsert *u, const batch *b, int64_t first_seq,
                          int64_t received_us, upsert_counts *out, status *st);

/* The same for several batches of a datastore at once, whose ranges of _seq do not meet: what is stored is
 * what it would be one after the other by _seq, and each part hears its own counts (of a key that stands in
 * two parts only the winner is new, the other is a duplicate). Sorts `parts` by first_seq. */
typedef struct upsert_part {
    const batch *rows;
    int64_t first_seq, received_us;
    upsert_counts counts; /* out */
    void *owner;          /* the caller's */
} upsert_part;
status_class upsert_write_parts(connection *c, const upsert *u, upsert_part *parts, uint32_t n, status *st);
#endif
