/* Intake: a body of bytes, or columns out of a plugin, become accepted and rejected rows in the journal.
 *
 * intake_body and intake_columns run on a lane and may block for as long as decoding takes; they never wait
 * for the disk. What was decided about the rows comes to `done`, once: after the journal's commit (the
 * default), or after the rows are in their table (`wait_stored`). `done` runs on the journal's or a writer's
 * thread and must not block. Nothing is acknowledged before that: a caller that got no verdict must send
 * again. */
#ifndef PENSTOCK_FLOW_INTAKE_H
#define PENSTOCK_FLOW_INTAKE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/status.h"
#include "flow/decode.h"
#include "flow/journal.h"
#include "flow/letter_ref.h"
#include "flow/line_router.h"
#include "flow/plan.h"
#include "flow/rejected.h"
#include "flow/waiter.h"

/* Tag of the journal field that names the columns of a record's rows, each name with its NUL: rows are read
 * back by name, so a definition may gain columns while records wait. */
#define JOURNAL_FIELD_COLUMNS 1
#define JOURNAL_FIELD_HEADER 2 /* of rejected rows: the header of the CSV that they stood in */

typedef struct intake intake;

#define INTAKE_REJECTS_SHOWN 100 /* in one verdict; the others are counted and kept as dead letters */

typedef struct intake_reject {
    uint64_t row, line;
    uint32_t column;
    const char *code, *pointer, *detail;
} intake_reject;

typedef struct intake_verdict {
    status st;         /* class STATUS_OK, or why nothing was taken */
    uint64_t received; /* rows seen in the input */
    uint64_t accepted, rejected;
    bool stored;                         /* wait_stored, and all accepted rows are settled */
    bool repeated;                       /* the Idempotency-Key was seen before: nothing was taken now */
    uint64_t new_rows, duplicates, dead; /* with `stored` */
    const intake_reject *rejects;
    uint32_t n_rejects; /* ≤ INTAKE_REJECTS_SHOWN */
} intake_verdict;
/* The verdict is borrowed for the call. */
typedef void (*intake_done)(void *arg, const intake_verdict *verdict);

typedef struct intake_order {
    const datastore_plan *store; /* the caller holds its flow_plan until `done` */
    const flow_plan *plan;       /* intake_lines: instead of a store; held likewise */
    line_router_find find;       /* intake_lines: the store of a measurement */
    void *find_arg;
    const decode_plan *decode; /* intake_body: how the bytes are read */
    decode_format format;      /* DECODE_PLANNED = as the plan says */
    line_precision precision;  /* of line protocol */
    const char *origin;        /* "http", "connector:rig" */
    const char *request_id;    /* unique; also what waiters are found by */
    journal_lane lane;
    uint32_t rows_max; /* intake_body: of this body; 0 = what decoding takes */
    bool wait_stored;
    int64_t deadline_us; /* of wait_stored, monotonic */
    int64_t time_shift_us;
    bool header_costs_rows;       /* as for decoding: nobody is there to be told that the body is refused */
    const journal_cursor *cursor; /* of a source: committed with the rows; NULL = none */
    const char *idempotency_key;  /* NULL = none */
    /* rows that a plugin could not read: kept as dead letters, counted as rejected */
    const rejected_row *refused;
    uint32_t n_refused;
    const letter_ref *letter; /* the body is this dead letter, sent again: one row; NULL = none */
    intake_done done;
    void *arg;
} intake_order;

intake *intake_create(journal *j, waiter_table *waiters, unsigned shards);
/* No call may be under way. NULL is fine. */
void intake_free(intake *in);
/* `body` is borrowed for the call. */
void intake_body(intake *in, const intake_order *order, const char *body, size_t len);
/* Line protocol, each line for the store that its measurement names; durable in all of them or in none. Lines
 * without a store are rejected, counted and kept under JOURNAL_STORE_UNKNOWN. */
void intake_lines(intake *in, const intake_order *order, const char *body, size_t len);
/* Columns by name, as a plugin handed them over; checked like decoded ones. */
void intake_columns(intake *in, const intake_order *order, const batch *rows, const char *const *names);
/* Takes only the order's cursor and refused rows (a source moved on without good rows). */
void intake_cursor(intake *in, const intake_order *order);
#endif
