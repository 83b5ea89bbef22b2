/* The bytes of a journal record, version 1: a fixed head, tagged fields, the payload. Little-endian;
 * everything a reader of a later version may meet is skippable by its length. A batch is its buffers one
 * after the other, each 8-byte aligned, so that reading it back is a matter of pointers.
 *
 * The payload of rejected rows is rejected.h's. */
#ifndef PENSTOCK_FLOW_JOURNAL_RECORD_H
#define PENSTOCK_FLOW_JOURNAL_RECORD_H
#include "base/text.h"
#include "flow/journal.h"

typedef struct record_head { /* as on disk */
    uint32_t magic;
    uint16_t version, head_bytes;
    uint64_t total_bytes;
    uint16_t kind, flags;
    uint8_t lane, reserved;
    uint16_t shard;
    uint32_t wid, n_rows;
    uint64_t generation;
    int64_t received_us;
    uint64_t seq, prev_seq; /* known at commit, like the next three */
    int64_t first_row;
    uint64_t rows_before, bytes_before; /* of the stream since its beginning, without this record */
    uint32_t count_received, count_rejected, count_dropped;
    uint32_t payload_at; /* from the record's first byte */
} record_head;

#define RECORD_MAGIC 0x524a5350U
#define RECORD_VERSION 1U

/* A record to be, in memory from malloc; STATUS_LIMIT beyond JOURNAL_RECORD_MAX, STATUS_INVALID for names
 * that are too long. */
status_class record_encode(const journal_entry *e, void **data_out, size_t *len_out, status *st);
/* Reads a record; `data` is 8-byte aligned and outlives the result; arrays live in `a`. False: not a record.
 */
bool record_decode(const void *data, size_t len, arena *a, journal_record *out);
/* The head alone from a record's first bytes; false if it is none. */
bool record_head_read(const void *data, size_t len, record_head *out);

/* The store's key out of a record's first bytes; false if it is not there. `store_out` has NAME_KEY_MAX + 1
 * bytes. */
bool record_store_read(const void *data, size_t len, char *store_out);

/* Borrowed from `data`; columns live in `a`. Checks that no pointer leaves the data. */
bool record_batch_read(const void *data, size_t len, arena *a, batch *out);
#endif
