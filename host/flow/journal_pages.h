/* The journal's file, read without LMDB. LMDB keeps no checksums and follows a damaged page into a crash, so
 * the pages are looked at here before it may open the file, and what can still be read is taken from here
 * when it may not. Nothing in the file is believed: every number is checked before it is used.
 *
 * A file has up to two snapshots, the newest commit and the one before it; LMDB leaves the pages of both
 * alone until the next commit but one. Blocks; one thread at a time. Private to journal*.c. */
#ifndef PENSTOCK_FLOW_JOURNAL_PAGES_H
#define PENSTOCK_FLOW_JOURNAL_PAGES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define PAGES_KEY_MAX 511 /* LMDB's own limit */

typedef struct page_file page_file;

/* NOT_FOUND: no file, or an empty one. UNSUPPORTED: not a file of this LMDB format. INVALID: no snapshot can
 * be read. */
status_class page_file_open(const char *path, page_file **out, status *st);
void page_file_close(page_file *f); /* NULL is fine */
unsigned page_file_snapshots(const page_file *f);
/* False: only one head can be read, and the other may have been a newer commit. */
bool page_file_newest_known(const page_file *f);

/* Looks at every branch and leaf of the newest snapshot, its list of free pages and both heads: that each
 * page is what its parent says, in order, used once and not free as well. `deep`: also the heads of the value
 * pages. INVALID says the first thing that is wrong. */
typedef struct page_rest page_rest;
/* `rest_out` (may be NULL): of a table with more than `at_once` leaves only the branches are looked at; the
 * rest is for journal_doubts, or page_rest_free. NULL there: nothing is left. */
status_class page_file_check(page_file *f, bool deep, size_t at_once, page_rest **rest_out, status *st);
void page_rest_free(page_rest *r); /* NULL is fine */

typedef struct page_bytes {
    const uint8_t *data;
    size_t len;
} page_bytes;

/* `table` is "" for the main one. Bytes live during the call. */
typedef struct page_visitor {
    void (*on_entry)(void *arg, const char *table, page_bytes key, page_bytes value);
    /* Keys from `from` up to, not with, `to` cannot be read; an empty `from` or `to` has no bound. */
    void (*on_damage)(void *arg, const char *table, page_bytes from, page_bytes to);
    void *arg;
} page_visitor;

/* Hands over what can be read of a snapshot (0 = the newest), table by table, in the order of the keys. */
void page_file_visit(page_file *f, unsigned snapshot, const page_visitor *visitor);
#endif
