/* The journal inside; private to journal*.c.
 *
 * Threads: `lock` guards everything but what is marked. The commit thread alone writes to LMDB and alone
 * changes the [commit] fields; it publishes them under the lock once a transaction is durable. Readers hold
 * `env_lock` shared while they have a transaction; the commit thread takes it exclusively to close and reopen
 * the environment. Order: env_lock, lock. */
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
#define JOURNAL_GROUP_BYTES (16U << 20) /* of one commit */
#define JOURNAL_FULL_PERCENT 90U        /* input is refused above; the rest is for trimming and bookkeeping */
#define JOURNAL_HEADROOM (2U << 20)     /* disk space beyond what is in use: emptying it takes pages, too */
#define JOURNAL_TRIM_MIN_PAGES 256U     /* trimmed by any commit, beside twice what it writes */
#define JOURNAL_TRIM_IDLE_PAGES 4096U   /* trimmed by a commit for nothing else */
#define JOURNAL_TRIM_IDLE_US 50000
#define JOURNAL_EXPIRE_MAX 64U /* keys forgotten by one commit */
#define JOURNAL_REOPEN_US 500000
#define JOURNAL_ERA_SHIFT 40 /* a stream made in era e counts from e << 40 */

typedef struct journal_usage { /* one (workspace, store) */
    struct journal_usage *next;
    uint32_t wid;
    char store[NAME_KEY_MAX + 1];
    uint64_t bytes, pending_bytes; /* on disk; submitted */
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
    bool trim_queued;
    bool stored; /* [commit] has its row in `streams` */
    /* [commit] of the running transaction */
    bool touched, trimmed;
    uint64_t new_seq, new_rows, new_bytes;
    uint64_t new_trimmed_seq, new_trimmed_rows, new_trimmed_bytes;
    int64_t new_oldest_us; /* 0 = none, -1 = unchanged */
} stream_state;

typedef struct pending_record {
    stream_state *stream;
    void *data;
    size_t len;
} pending_record;

typedef struct submission {
    turn_item item;          /* first */
    struct submission *next; /* in its group */
    uint32_t wid, weight;
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
    journal_store store; /* env under env_lock */
    pthread_rwlock_t env_lock;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool started, closing, is_new;
    int lock_fd;
    char *folder;
    uint64_t size_bytes, store_bytes;
    uint32_t keep_free, window_us;
    void (*on_appended)(void *arg, uint32_t stream);
    void *arg;
    uint8_t incarnation[16];
    uint32_t era;

    turn_queue waiting;       /* submissions, by workspace; a turn costs bytes */
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
    journal_stats stats;

    int64_t next_row;        /* [commit] */
    uint64_t commit_number;  /* [commit] of the transaction under way */
    uint64_t durable_number; /* [commit] of the last one that is on disk */
    size_t group_before;     /* [commit] submissions in the last group */
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

stream_state *stream_find_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard);
stream_state *stream_make_locked(journal *j, uint32_t wid, const char *store, journal_lane lane,
                                 uint16_t shard);
/* Reads what is on disk: meta, streams, totals. At open and after a reopen; the commit thread does not run or
 * is the caller. */
status_class state_load(journal *j, status *st);
/* Mends the file if it must be, opens it and loads the state. Not while anybody has a transaction. */
status_class journal_load(journal *j, bool deep, status *st);
void *commit_thread(void *journal);
/* A snapshot of the file; ends with journal_end_read. STATUS_UNAVAILABLE while there is none. */
status_class journal_begin_read(journal *j, MDB_txn **txn, status *st);
void journal_end_read(journal *j, MDB_txn *txn);
/* The first record at or after `seq` of a stream, its head and how many bytes it is; false if there is none.
 * A damaged one has *ok = false. */
bool record_seek(MDB_cursor *c, const stream_state *s, uint64_t seq, record_key *key_out,
                 record_head *head_out, bool *ok);
void submission_free(submission *s);
#endif
