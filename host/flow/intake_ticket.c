/* A ticket lives from the submission of an order to its answer; it is held twice, once by the journal's
 * callback and once by whoever answers. */
#include <stdio.h>

#include "flow/intake_private.h"

enum { TICKET_BYTES = 4096 };

const flow_plan *intake_order_plan(const intake_order *order)
{
    return order->store ? order->store->plan : order->plan;
}

/* A ticket is made on one thread and ends on another: giving its memory back each time made them wait for one
 * another in the allocator. */
static arena *ticket_memory(intake *in)
{
    pthread_mutex_lock(&in->lock);
    arena *a = in->n_spare ? in->spare[--in->n_spare] : NULL;
    pthread_mutex_unlock(&in->lock);
    return a ? a : arena_create(TICKET_BYTES);
}

static void ticket_memory_return(intake *in, arena *a)
{
    arena_reset(a);
    pthread_mutex_lock(&in->lock);
    bool keep = in->n_spare < INTAKE_SPARE_MAX;
    if (keep)
        in->spare[in->n_spare++] = a;
    pthread_mutex_unlock(&in->lock);
    if (!keep)
        arena_free(a);
}

ticket *intake_ticket_create(intake *in, const intake_order *order)
{
    arena *a = ticket_memory(in);
    ticket *t = arena_zero(a, 1, sizeof *t);
    t->in = in;
    t->arena = a;
    t->holders = 1;
    t->wait_stored = order->wait_stored;
    t->wid = (uint32_t)intake_order_plan(order)->wid;
    snprintf(t->id, sizeof t->id, "%s", order->request_id);
    if (order->idempotency_key)
        snprintf(t->key, sizeof t->key, "%s", order->idempotency_key);
    t->done = order->done;
    t->arg = order->arg;
    return t;
}

void intake_ticket_drop(ticket *t)
{
    if (atomic_fetch_sub(&t->holders, 1) == 1)
        ticket_memory_return(t->in, t->arena);
}

/* the ticket is gone then */
void intake_ticket_answer(ticket *t)
{
    t->done(t->arg, &t->verdict);
    intake_ticket_drop(t);
}

void intake_ticket_refuse(ticket *t, const status *st)
{
    t->verdict.st = *st;
    intake_ticket_answer(t);
}

void intake_add_reject(ticket *t, const intake_reject *r)
{
    if (t->verdict.n_rejects == INTAKE_REJECTS_SHOWN)
        return;
    if (!t->verdict.rejects)
        t->verdict.rejects = arena_zero(t->arena, INTAKE_REJECTS_SHOWN, sizeof *r);
    intake_reject *kept = (intake_reject *)&t->verdict.rejects[t->verdict.n_rejects++];
    *kept = *r;
    kept->code = arena_string(t->arena, r->code);
    kept->pointer = arena_string(t->arena, r->pointer);
    kept->detail = arena_string(t->arena, r->detail);
}
