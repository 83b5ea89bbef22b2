/* The journal: the durable, bounded, ordered queue between intake and the datastores. LMDB stands behind it
 * (journal_lmdb.c); nothing outside may know that.
 *
 * Intake submits records from any thread. A commit thread of its own puts what waits into one transaction,
 * syncs it, and only then calls `on_done` with STATUS_OK: that call is the only way to an ack. Each stream =
 * (workspace, store, lane, shard) is read in order by one writer, which trims what the data plane has
 * committed. A record is kept until it is trimmed, through kill -9 and power cuts. Units: bytes, microseconds
 * UTC. Every pointer handed to journal_submit is borrowed for the call only. What a damaged page costs is the
 * records on it: they come out of journal_read as `damaged` and are counted. */
#ifndef PENSTOCK_FLOW_JOURNAL_H
#define PENSTOCK_FLOW_JOURNAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/batch.h"
#include "base/name.h"
#include "base/status.h"

typedef struct journal journal;

typedef enum journal_lane { JOURNAL_LIVE = 0, JOURNAL_BACKLOG = 1 } journal_lane;
typedef enum journal_kind {
    JOURNAL_ROWS = 1, /* a batch of accepted rows */
    JOURNAL_REJECTED, /* rows that intake refused, as rejected_pack writes them */
    JOURNAL_RAW,      /* a body to be decoded later */
    JOURNAL_REPLY,    /* a command's later result */
    JOURNAL_MARKER,   /* says something about the stream; no rows */
} journal_kind;
/* A reader that does not know the kind may pass over the record; without it, it must stop the stream. */
#define JOURNAL_SKIPPABLE 1U
/* A marker in the place of records that a damaged page has taken: those after prev_seq up to its own seq. */
#define JOURNAL_LOSS 2U

/* Not a key: the name under which rejected rows stand that are of no store. */
#define JOURNAL_STORE_UNKNOWN "_unknown"

#define JOURNAL_ORIGIN_MAX 96
#define JOURNAL_REQUEST_MAX 64
#define JOURNAL_INSTANCE_MAX 128
#define JOURNAL_CURSOR_MAX 65536
#define JOURNAL_KEY_MAX 255
#define JOURNAL_VERDICT_MAX 4096
#define JOURNAL_RECORD_MAX (64U << 20)
#define JOURNAL_ENTRIES_MAX 1024 /* of one submission */
#define JOURNAL_KEEP_FREE_MAX (INT64_C(1) << 30)
#define JOURNAL_FIELDS_MAX 32
#define JOURNAL_STREAMS_MAX 1000000
#define JOURNAL_KEY_LIFE_US (24 * 3600 * INT64_C(1000000))

typedef struct journal_settings {
    const char *folder;  /* made if missing; holds nothing else */
    uint64_t size_bytes; /* of the whole file; 0 = min(8 GiB, 10 % of the free disk), at least 1 MiB */
    /* most bytes one (workspace, store) may have waiting; 0 = a quarter of size_bytes */
    uint64_t store_bytes;
    uint32_t keep_free; /* per cent of its disk (at most JOURNAL_KEEP_FREE_MAX bytes) that rows leave free */
    uint32_t leaves_at_once; /* of LMDB's pages with records: when there are more, they are looked at for
                              * damage after the opening; 0 = 8192 (some 2 GiB of records) */
    uint32_t window_us;      /* longest wait for others to join a commit, ≤ 5000; 0 = 2000 */
    /* Called on the commit thread, once a stream that got records, when journal_read_ahead can give them out;
     * again after the commit if nobody has read them by then. `rows`: of the stream's store, in that commit.
     * Must not block. May be NULL. */
    void (*on_appended)(void *arg, uint32_t stream, uint64_t rows);
    void *arg;
} journal_settings;

/* Opens or creates. A journal is owned by one process at a time (STATUS_CONFLICT). */
status_class journal_open(const journal_settings *settings, journal **out, status *st);
/* Commits and answers what was submitted, then closes. NULL is fine. No other call may be under way. */
void journal_close(journal *j);
/* 16 bytes, chosen when the journal was made: a lost and remade journal is told apart by it. */
const uint8_t *journal_incarnation(const journal *j);
bool journal_is_new(const journal *j); /* made by this journal_open */

/* ---- writing ---- */

typedef struct journal_field { /* a tagged addition to a record's header; readers pass over tags they do not
                                  know */
    uint16_t tag, len;
    const void *data;
} journal_field;

typedef struct journal_entry { /* one record to be */
    journal_kind kind;
    uint16_t flags;
    uint32_t wid;
    const char *store;
    journal_lane lane;
    uint16_t shard;
    uint64_t generation;    /* of the definition that the rows were validated under */
    const char *origin;     /* "http", "connector:rig"; NULL = "" */
    const char *request_id; /* NULL = "" */
    int64_t received_us;
    uint32_t count_received, count_rejected,
        count_dropped;   /* ledger: of this store in the minute of received_us */
    const batch *rows;   /* JOURNAL_ROWS */
    const void *payload; /* the other kinds */
    size_t payload_len;
    uint32_t payload_rows; /* rows that the payload speaks of; they take no _seq */
    const journal_field *fields;
    uint32_t n_fields;
} journal_entry;

typedef struct journal_cursor { /* how far a source has been taken; replaces the former one */
    uint32_t wid;
    const char *instance;
    const void *data;
    size_t len;
} journal_cursor;

typedef struct journal_key { /* an Idempotency-Key and what was answered */
    uint32_t wid;
    const char *key;
    const void *verdict;
    size_t verdict_len;
} journal_key;

/* On the commit thread; must not block. STATUS_OK: durable. STATUS_CONFLICT: the key was there already (look
 * it up). STATUS_LIMIT, STATUS_UNAVAILABLE: not taken (or, after a failed sync, not known to be): `st` says
 * why. */
typedef void (*journal_done)(void *arg, status_class class, const status *st);

typedef struct journal_submission {
    const journal_entry *entries; /* all or none are committed; may be empty with a cursor or a key */
    size_t n_entries;
    const journal_cursor *cursor; /* NULL = none */
    const journal_key *key;       /* NULL = none */
    uint32_t wid, weight;         /* whose it is, for fair turns; weight as in base/turns.h */
    uint32_t company; /* how many wait now for their rows to be stored, and come again; 0 = not known */
    journal_done on_done;
    void *arg;
} journal_submission;

/* [any thread] Copies and queues. Not STATUS_OK: refused, on_done is not called. STATUS_LIMIT when the
 * store's or the journal's bytes are used up, STATUS_UNAVAILABLE while the journal has failed or closes. */
status_class journal_submit(journal *j, const journal_submission *s, status *st);
/* The same, waiting for the commit. Not from the commit thread. */
status_class journal_submit_wait(journal *j, const journal_submission *s, status *st);

/* ---- reading ---- */

typedef struct journal_record {
    journal_kind kind;
    uint16_t flags;
    bool damaged; /* of the rest only stream, seq, prev_seq and maybe the counts and the time are known */
    uint32_t stream, wid;
    char store[NAME_KEY_MAX + 1];
    journal_lane lane;
    uint16_t shard;
    uint64_t seq, prev_seq; /* of the stream; prev_seq = 0 for its first */
    uint64_t generation;
    const char *origin, *request_id;
    int64_t received_us;
    uint32_t count_received, count_rejected, count_dropped;
    int64_t first_row; /* _seq of the first row */
    uint32_t n_rows;   /* JOURNAL_ROWS: of `rows`; else payload_rows */
    batch rows;
    const void *payload; /* 8-byte aligned */
    size_t payload_len;
    const journal_field *fields;
    uint32_t n_fields;
} journal_record;

/* [any thread] The records after `after_seq` that are known to be durable, oldest first, copied into `a`: at
 * least one if there is one, else as many as fit into max_bytes. A gap in the sequence shows as prev_seq ≠
 * the seq before. */
status_class journal_read(journal *j, uint32_t stream, uint64_t after_seq, size_t max_bytes, arena *a,
                          const journal_record **records_out, size_t *n_out, status *st);
/* [any thread] The same, and where nothing durable is left those whose sync is under way, which a failed sync
 * takes back: what follows from them may be made known only after journal_await(j, *commit). *commit: 0, or
 * of the commit from which others were taken before (they come from that one only); out, of these records,
 * unchanged if they are durable. */
status_class journal_read_ahead(journal *j, uint32_t stream, uint64_t after_seq, size_t max_bytes, arena *a,
                                const journal_record **records_out, size_t *n_out, uint64_t *commit,
                                status *st);
/* [any thread but the commit thread] Waits for the outcome of a commit. STATUS_OK: its records are durable.
 * STATUS_CONFLICT: they are not known to be; read again. */
status_class journal_await(journal *j, uint64_t commit, status *st);
/* May `r` be the next after the data plane's position? Not if records are missing between them, unless the
 * journal knows of it: behind a JOURNAL_LOSS marker, or where a damaged list of streams made it count from a
 * new era, the position may stand anywhere before. */
bool journal_record_follows(const journal_record *r, uint64_t position);
/* The addition of that tag; NULL = the record has none. */
const journal_field *journal_record_field(const journal_record *r, uint16_t tag);
/* [any thread] Everything up to and including `upto_seq` may go; done by a later commit. Never loses more
 * than that. */
void journal_trim(journal *j, uint32_t stream, uint64_t upto_seq);

typedef struct journal_stream {
    uint32_t id, wid;
    char store[NAME_KEY_MAX + 1];
    journal_lane lane;
    uint16_t shard;
    uint64_t last_seq, trimmed_seq; /* pending if they differ; trimmed_seq counts trims asked for */
    uint64_t rows, bytes;           /* waiting on disk */
    uint64_t opened_seq;            /* last_seq when the journal was opened */
    int64_t oldest_received_us;     /* of the first waiting record; 0 = none */
} journal_stream;

/* [any thread] One stream by id, or by name; false if there is none. */
bool journal_stream_get(journal *j, uint32_t stream, journal_stream *out);
bool journal_stream_find(journal *j, uint32_t wid, const char *store, journal_lane lane, uint16_t shard,
                         journal_stream *out);
/* [any thread] All streams (or only those with something to read), live lane first, then by id. Lives in `a`.
 */
size_t journal_streams(journal *j, bool only_pending, arena *a, const journal_stream **out);

/* [any thread] The bytes last committed for the instance, copied into `a`; STATUS_NOT_FOUND. */
status_class journal_cursor_get(journal *j, uint32_t wid, const char *instance, arena *a,
                                const void **data_out, size_t *len_out, status *st);
/* [any thread] The verdict committed with the key in the last 24 h; STATUS_NOT_FOUND. */
status_class journal_idempotency_find(journal *j, uint32_t wid, const char *key, arena *a,
                                      const void **verdict_out, size_t *len_out, status *st);

typedef struct journal_backlog {
    uint64_t rows, bytes, records_lost;
    int64_t oldest_received_us;
} journal_backlog;
/* [any thread] What waits; wid 0 = all workspaces, store NULL = all of the workspace's. */
journal_backlog journal_backlog_get(journal *j, uint32_t wid, const char *store);

typedef struct journal_settled {
    /* every row of the store with a lower _seq is committed in the data plane, or never will be */
    uint64_t below;
    bool waiting; /* there is a record of the store that is not known to be committed */
} journal_settled;
/* [any thread] How far a store is settled: ask first, then read the table. Holds for rows that come through
 * this journal. */
status_class journal_settled_get(journal *j, uint32_t wid, const char *store, journal_settled *out,
                                 status *st);

typedef struct journal_stats { /* for /metrics */
    uint64_t size_bytes, store_bytes, used_bytes, submissions, refused, records, rows, bytes, commits,
        commit_failures, reopened;
    uint64_t damaged_records, trimmed_records, waiting_submissions, streams;
    int64_t commit_us_total, commit_us_longest; /* longest since the last call */
    bool unseen;                                /* not all pages were looked at yet */
    bool failed;                                /* out of service until a reopen succeeds */
} journal_stats;
journal_stats journal_stats_get(journal *j);

#ifdef PENSTOCK_FAULTS
/* Test builds: the next `times` commits meet this. */
typedef enum journal_fault {
    JOURNAL_FAULT_NONE,
    JOURNAL_FAULT_SYNC,      /* EIO, nothing of the commit is there afterwards */
    JOURNAL_FAULT_SYNC_LATE, /* EIO, though the commit did reach the disk */
    JOURNAL_FAULT_SYNC_LOST, /* EIO after a second, nothing is there */
    JOURNAL_FAULT_DISK_FULL, /* ENOSPC */
    JOURNAL_FAULT_MAP_FULL,  /* no free page */
    JOURNAL_FAULT_SYNC_SLOW, /* takes 100 ms, then succeeds */
    JOURNAL_FAULT_TOLD_LATE, /* succeeds, and nobody hears of it for 100 ms */
} journal_fault;
void journal_fault_set(journal *j, journal_fault fault, unsigned times);
#endif
#endif
