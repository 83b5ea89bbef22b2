/* What intake.c and intake_lines.c share: the buffers of one body, the ticket of one order, the records of
 * one submission. */
#ifndef PENSTOCK_FLOW_INTAKE_PRIVATE_H
#define PENSTOCK_FLOW_INTAKE_PRIVATE_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/text.h"
#include "flow/intake.h"
#include "flow/line_router.h"
#include "flow/validate.h"

/* What one thread needs to take a body apart; kept warm in a small stack. */
typedef struct worker {
    struct worker *next;
    decoder *decoder;
    validator *validator;
    line_router *router;
    text rejected;
} worker;

enum { INTAKE_SPARE_MAX = 64 };

struct intake {
    journal *journal;
    waiter_table *waiters;
    unsigned shards;
    pthread_mutex_t lock;
    worker *idle;
    unsigned n_idle;
    arena *spare[INTAKE_SPARE_MAX]; /* of tickets that are over */
    unsigned n_spare;
};

typedef struct ticket {
    intake *in;
    arena *arena;
    atomic_int holders;
    bool wait_stored;
    char id[JOURNAL_REQUEST_MAX + 1], key[JOURNAL_KEY_MAX + 1];
    uint32_t wid;
    intake_verdict verdict;
    intake_done done;
    void *arg;
} ticket;

typedef struct parcel { /* the entries of one submission, in an arena */
    journal_entry *entries;
    uint32_t n, cap;
} parcel;

worker *intake_worker_take(intake *in);
void intake_worker_return(intake *in, worker *w);

const flow_plan *intake_order_plan(const intake_order *order);
/* ---- intake_ticket.c ---- */
ticket *intake_ticket_create(intake *in, const intake_order *order);
void intake_ticket_drop(ticket *t);
/* Answers, and drops. */
void intake_ticket_answer(ticket *t);
void intake_ticket_refuse(ticket *t, const status *st);
/* A dead letter that is sent again is one row; else false, and the ticket has been refused. */
bool intake_letter_is_one(ticket *t, const intake_order *order);
/* Copied; the first INTAKE_REJECTS_SHOWN are kept. */
void intake_add_reject(ticket *t, const intake_reject *r);

void parcel_init(parcel *p, arena *a, uint32_t cap);
/* At most one entry a shard. */
void parcel_add_rows(parcel *p, const intake_order *order, const datastore_plan *store, const batch *rows,
                     unsigned shards, arena *a);
typedef struct reject_bundle { /* rows of one store, packed; borrowed */
    const char *packed;
    size_t len;
    uint32_t n;
    const char *header; /* of the CSV that they stood in */
    size_t header_len;
} reject_bundle;
/* At most one entry. */
void parcel_add_rejected(parcel *p, const intake_order *order, const char *store, const reject_bundle *rows,
                         arena *a);
void intake_pack_reject(text *out, const decode_reject *r, const char *body, rejected_form form);
/* Submits what is in the parcel, with the order's cursor and key, and sees to the answer. */
void intake_send(ticket *t, const intake_order *order, const parcel *p);
#endif
