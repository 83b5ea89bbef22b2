/* The journal inside; private to journal*.c.
 *
 * Threads: `lock` guards everything but what is marked. The commit thread alone writes to LMDB and alone
 * changes the [commit] fields; it publishes them under the lock once a transaction is durable. Readers hold
 * `env_lock` shared while they have a transaction; the commit thread takes it exclusively to close and reopen
 * the environment. The group that is being synced is shown to
 * readers under `ahead_lock`, which they hold shared while they copy from it. Order: env_lock or ahead_lock,
 * lock. */
#ifndef PENSTOCK_FLOW_JOURNAL_STATE_H
#define PENSTOCK_FLOW_JOURNAL_STATE_H
#include <pthread.h>

#include "base/limit.h"
#include "base/turn_queue.h"
#include "flow/drain.h"
#include "flow/journal.h"
#include "flow/journal_lmdb.h"
#include "flow/journal_record.h"

#define JOURNAL_WINDOW_MAX_US 5000U
#define JOURNAL_GROUP_BYTES (16U << 20)                /* of one commit */
#define JOURNAL_GROUP_ENOUGH (JOURNAL_GROUP_BYTES / 4) /* so many bytes wait for no company */
#define JOURNAL_SMALL_BYTES 1024U     /* a submission, about: of such a few more cost little */
#define JOURNAL_FULL_PERCENT 90U      /* input is refused above; the rest is for trimming and bookkeeping */
#define JOURNAL_HEADROOM (2U << 20)   /* disk space beyond what is in use: emptying it takes pages, too */
#define JOURNAL_TRIM_MIN_PAGES 256U   /* trimmed by any commit, beside twice what it writes */
#define JOURNAL_TRIM_IDLE_PAGES 4096U /* trimmed by a commit for nothing else */
#define JOURNAL_TRIM_IDLE_US 50000
#define READ_RECORDS_MAX 4096U /* by one call */
#define JOURNAL_EXPIRE_MAX 64U /* keys forgotten by one commit */
#define JOURNAL_REOPEN_US 500000
#define JOURNAL_ERA_SHIFT 40 /* a stream made in era e counts from e << 40 */

typedef struct journal_usage { /* one (workspace, store) */
    struct journal_usage *next;
    uint32_t wid;
    char store[NAME_KEY_MAX + 1];
    uint64_t bytes, pending_bytes; /* on disk; submitted */
    uint64_t group, group_rows;    /* [commit] rows that the commit of that number brings */
    uint64_t lost;                 /* records that damage has taken since the start */
    drain drain;                   /* what was trimmed */
} journal_usage;

typedef struct stream_state {
    journal_stream at; /* published; at.trimmed_seq = trims done */
    journal_usage *usage;
    struct stream_state *next;        /* in its hash bucket */
    uint64_t total_rows, total_bytes; /* appended since the stream's beginning */
    uint64_t trimmed_rows, trimmed_bytes;
    uint64_t trim_upto, damaged_upto;
    uint64_t ahead_seq; /* given out before it was durable */
    bool trim_queued;
    bool stored; /* [commit] has its row in `streams` */
    /* [commit] of the running transaction */
    bool touched, trimmed;
    uint64_t new_seq, new_rows, new_bytes;
    uint64_t new_trimmed_seq, new_trimmed_rows, new_trimmed_bytes;
    int64_t new_oldest_us; /* 0 = none, -1 = unchanged */
    struct pending_record *ahead,
        **ahead_end; /* its records in the group, under ahead_lock while that is shown */
} stream_state;

typedef struct pending_record {
    stream_state *stream;
    struct pending_record *next; /* of its stream in the group */
    void *data;
    size_t len;
} pending_record;

typedef struct submission {
    turn_item item;          /* first */
    struct submission *next; /* in its group */
    uint32_t wid, weight, company;
    journal_done on_done;
    void *arg;
    uint64_t cost, commit; /* commit: number of the transaction that holds it; 0 = none yet */
    bool key_taken;
    size_t n_records;
    pending_record *records;
    uint8_t *cursor_key, *idem_key; /* wid, name */
    size_t cursor_key_len, cursor_len, idem_key_len, verdict_len;
    void *cursor, *verdict;
    int64_t queued_us;
} submission;

struct journal {
    journal_store store;    /* env under env_lock */
    journal_doubts *doubts; /* the same, changed by the commit thread; NULL = the whole file was looked at */
    _Atomic bool unseen;    /* there are some */
    pthread_rwlock_t env_lock, ahead_lock;
    pthread_mutex_t lock;
    pthread_cond_t wake, told;
    pthread_t thread;
    bool started, closing, is_new;
    int lock_fd;
    char *folder;
    uint64_t size_bytes, store_bytes;
    uint32_t keep_free, window_us;
    size_t leaves_at_once;
    void (*on_appended)(void *arg, uint32_t stream, uint64_t rows);
    void *arg;
    uint8_t incarnation[16];
    uint32_t era;

    turn_queue waiting;       /* submissions, by workspace; a turn costs bytes */
    size_t wanted;            /* submissions that wake the thread; it is not woken for less */
    int64_t waiting_since_us; /* the first of them, or when the last group was taken */
    uint64_t pending_bytes;   /* submitted, not yet committed or refused */
    uint64_t used_pages;      /* after the last commit */
    drain drain;              /* what was trimmed, of all streams */
    stream_state **streams;   /* by id; 0 is not used */
    uint32_t n_streams, cap_streams;
    stream_state **buckets;
    uint32_t n_buckets;
    journal_usage **usages;
    uint32_t *trims; /* streams with something to trim */
    size_t n_trims, cap_trims;
    bool failed;
    char failed_why[200];
    uint64_t ahead_commit; /* whose group is shown; 0 = none. Under ahead_lock */
    uint64_t told_number;  /* of the last commit whose outcome is known */
    /* of that one and the 63 before it, a bit each, the lowest that of the last: 1 = durable */
    uint64_t outcomes;
    journal_stats stats;

    int64_t next_row;        /* [commit] */
    uint64_t commit_number;  /* [commit] of the transaction under way */
    uint64_t durable_number; /* [commit] of the last one that is on disk */
    size_t group_before;     /* [commit] submissions in the last group */
    size_t company_before;   /* [commit] what the last of them said, if they were small */
    bool no_room;            /* [commit] for the last group, or one of it */
    uint32_t *touched;       /* [commit] streams of this transaction */
    size_t n_touched, cap_touched;
    unsigned damaged_files;
#ifdef PENSTOCK_FAULTS
    journal_fault fault;
    unsigned fault_times;
#endif
};

#define JOURNAL_USAGE_BUCKETS 1024U

/* ---- journal_streams.c ---- */
stream_state *stream_find_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard);
stream_state *stream_make_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard);
journal_usage *stream_usage_locked(journal *j, uint32_t wid, const char *store);
void streams_free(journal *j);

/* ---- journal_load.c, journal.c ---- */
/* Reads what is on disk: meta, streams, totals. At open and after a reopen; the commit thread does not run or
 * is the caller. */
status_class state_load(journal *j, status *st);
/* Mends the file if it must be, opens it and loads the state. Not while anybody has a transaction. */
status_class journal_load(journal *j, bool deep, status *st);
void *commit_thread(void *journal);
void journal_wake(journal *j);
/* There are none any more. Nobody has a transaction. */
void journal_forget_doubts(journal *j);

/* ---- journal_group.c: [commit], LMDB codes ---- */
/* Makes the stream one of the transaction's. */
void stream_touch(journal *j, stream_state *s);
int stream_row_put(journal *j, MDB_txn *txn, stream_state *s, uint64_t trimmed_seq, uint64_t rows,
                   uint64_t bytes);
int group_write(journal *j, MDB_txn *txn, submission *group, int64_t *next_row, uint64_t *trimmed);
int group_make_room(journal *j, const submission *group);
void group_write_cursors_ahead(journal *j, const submission *group);

/* ---- journal_trim.c: [commit] ---- */
int trims_write(journal *j, MDB_txn *txn, MDB_cursor *c, uint64_t budget, uint64_t *n);
void trims_drop_done(journal *j); /* under the lock */

/* ---- journal_keys.c: [commit] ---- */
int key_write(journal *j, MDB_txn *txn, submission *s, int64_t now_us);
int keys_expire(journal *j, MDB_txn *txn, int64_t now_us);

/* ---- journal_read.c ---- */
/* A snapshot of the file, under env_lock; ends with journal_end_read. STATUS_UNAVAILABLE while there is none.
 */
status_class journal_begin_read(journal *j, MDB_txn **txn, status *st);
void journal_end_read(journal *j, MDB_txn *txn);
/* Before journal_end_read: has it met a damaged page, so that what was read may lack something? UNAVAILABLE:
 * it will be mended. */
status_class journal_look_hurt(journal *j, status *st);
/* Also its last record of which the outcome is known: the file shows a commit some moments before that. */
stream_state *stream_by_id(journal *j, uint32_t stream, uint64_t *last_seq_out);
bool record_is_of(const record_key *k, const stream_state *s);
/* The first record at or after `seq` of a stream, its head and how many bytes it is; false if there is none.
 * A damaged one has *ok = false. */
bool record_seek(MDB_cursor *c, const stream_state *s, uint64_t seq, record_key *key_out,
                 record_head *head_out, bool *ok);

/* ---- journal_ahead.c: [commit] ---- */
/* The group is written, its sync is to come: readers may have it. */
void ahead_show(journal *j);
/* Nobody reads it any more. */
void ahead_hide(journal *j);
/* The outcome of the commit under way. Under the lock. */
void ahead_settle(journal *j, bool durable);

/* ---- journal_submit.c ---- */
void submission_free(submission *s);
#endif
