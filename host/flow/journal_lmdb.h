/* LMDB as the journal uses it: one environment, five tables, keys and parts. Private to journal*.c.
 *
 * records      stream u32, lane u8, seq u64, part u16 (big-endian)  → one part of a record
 * streams      stream u32                                          → stream_row
 * cursors      wid u32, instance                                   → the source's bytes
 * keys         wid u32, Idempotency-Key                             → key_head, verdict
 * expiry       created u64, the key of `keys`                       → nothing
 * Every value begins with a CRC-32C over its key and what follows. Parts are at most one page with LMDB's own
 * head: whole values of many sizes would leave holes that nothing fits in. Beside the tables, `penstock` (the
 * meta_row) and `next_row` stand in the main table. */
#ifndef PENSTOCK_FLOW_JOURNAL_LMDB_H
#define PENSTOCK_FLOW_JOURNAL_LMDB_H
#include <lmdb.h>

#include "flow/journal.h"
#include "flow/journal_doubts.h"

#define PART_BYTES 4080U /* of a value in `records`, with its CRC */
#define PART_DATA (PART_BYTES - 4U)
#define RECORD_KEY_BYTES 15
#define JOURNAL_PAGE 4096U

typedef struct journal_store {
    MDB_env *env;
    MDB_dbi main, records, streams, cursors, keys, expiry;
    uint64_t size_pages;
    uint64_t room_bytes; /* of the file, from its beginning, that have their place on the disk */
    const char *map;     /* where the file's first byte is mapped; NULL = not known */
    MDB_txn *held;       /* store_hold_pages */
    int lock_fd;         /* its own; closed after LMDB, whose lock on the file it would end; -1 = none */
} journal_store;

typedef struct meta_row {
    uint32_t format;
    uint32_t era; /* raised when rows of `streams` were lost: new streams count from above all older ones */
    uint8_t incarnation[16];
    int64_t created_us;
} meta_row;
#define META_FORMAT 1U

typedef struct stream_row {
    uint32_t wid;
    uint8_t lane, store_len;
    uint16_t shard;
    uint64_t trimmed_seq, trimmed_rows, trimmed_bytes;
    char store[NAME_KEY_MAX + 8 - NAME_KEY_MAX % 8];
} stream_row;

typedef struct record_key {
    uint32_t stream;
    uint8_t lane;
    uint64_t seq;
    uint16_t part;
} record_key;

status_class store_open(journal_store *s, const char *folder, uint64_t size_bytes, status *st);
void store_close(journal_store *s);
/* From here to store_release_pages no page of the file as it is now is written to, neither one in use nor one
 * that is free. False: not possible. Before the first commit. */
bool store_hold_pages(journal_store *s, const char *folder);
void store_release_pages(journal_store *s);
/* Records are looked at by `doubts` before LMDB goes to them; NULL = no more. Nobody has a transaction. */
void store_doubt(journal_store *s, journal_doubts *doubts);
/* May it go to the records with these keys? */
bool store_may_touch(MDB_cursor *records, const record_key *from, const record_key *to);
/* Takes disk space for the file's first `bytes` bytes (at most its size); an LMDB code, ENOSPC if there is
 * none. Where the file system cannot do that, commits find out themselves. */
int store_make_room(journal_store *s, uint64_t bytes);
/* Pages in use by all tables, the list of free pages included. */
uint64_t store_used_pages(const journal_store *s, MDB_txn *txn);
/* What LMDB said as a status: no space is STATUS_LIMIT, anything else STATUS_UNAVAILABLE. */
status_class store_status(status *st, int code, const char *what);
bool store_code_is_full(int code);
#define STORE_DISK_SHORT (-1) /* beside LMDB's own codes: rows must leave some of the disk free */

void record_key_write(const record_key *k, uint8_t out[RECORD_KEY_BYTES]);
bool record_key_read(const MDB_val *v, record_key *out);

#define STORE_NAME_BYTES 4 /* before the name in the key of a cursor or an Idempotency-Key */
/* `out` has STORE_NAME_BYTES and room for the name with its NUL; the key's length. */
size_t store_name_key(uint8_t *out, uint32_t wid, const char *name);

/* Puts with the CRC in front; an LMDB code. */
int store_put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void *head, size_t head_len,
              const void *data, size_t len);
/* Gets what stands behind the CRC; MDB_CORRUPTED if that does not fit. Points into the page. */
int store_get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void **data_out,
              size_t *len_out);
/* The same for a value that a cursor found. */
bool store_check(const MDB_val *key, const MDB_val *value, const void **data_out, size_t *len_out);
/* Finds out where the file is mapped; needs an entry in the main table. */
void store_find_map(journal_store *s);
/* May LMDB delete this committed value of `records`? It believes the head of a value's own page and would
 * free whatever that says. */
bool store_part_is_sound(const journal_store *s, const MDB_val *value);
/* All parts of one record. */
int store_put_record(MDB_cursor *records, record_key key, const void *data, size_t len);
uint64_t store_record_cost(size_t len); /* bytes that it takes, roughly */
#endif
