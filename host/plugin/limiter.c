/* A ticket's tag is the virtual time at which its workspace's turn comes: max(virtual time of the provider,
 * the workspace's last tag + what that took). Tickets go in the order of their tags, those whose own
 * workspace is out of units aside. */
#include "plugin/limiter.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"

enum { WAIT_LEAST_US = 1000 };

typedef struct bucket {
    double tokens, per_second, burst;
    int64_t at_us;
} bucket;

typedef struct share share;
struct share { /* of one workspace */
    share *next;
    char *workspace;
    bucket bucket;
    double next_tag; /* where its next ticket stands */
    int64_t asked_us;
};

typedef struct ticket ticket;
struct ticket {
    ticket *next;
    uint64_t id;
    share *of;
    char *instance; /* NULL: nobody comes back for it without its number */
    double units, tag;
    int64_t due_us, expires_us;
    bool kept; /* its owner does not wait, but comes again at due_us */
};

typedef struct provider provider;
struct provider {
    provider *next;
    char *name;
    bucket bucket;
    double virtual_time; /* tag of the ticket that went last */
    share *shares;
    ticket *tickets;
};

struct limiter {
    pthread_mutex_t lock;
    provider *providers;
    uint64_t last_ticket;
};

limiter *limiter_create(void)
{
    limiter *l = memory_zero(1, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

static void drop_ticket(ticket **at)
{
    ticket *t = *at;
    *at = t->next;
    free(t->instance);
    free(t);
}

static void provider_free(provider *p)
{
    while (p->tickets)
        drop_ticket(&p->tickets);
    for (share *s = p->shares, *next; s; s = next) {
        next = s->next;
        free(s->workspace);
        free(s);
    }
    free(p->name);
    free(p);
}

void limiter_free(limiter *l)
{
    if (!l)
        return;
    for (provider *p = l->providers, *next; p; p = next) {
        next = p->next;
        provider_free(p);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

/* ---- Buckets ---- */

static void refill(bucket *b, int64_t now)
{
    double more = (double)(now - b->at_us) / 1e6 * b->per_second;
    b->tokens = fmin(b->burst, b->tokens + more);
    b->at_us = now;
}

/* A new rate; a bucket that grows does not become fuller by it. */
static void set_rate(bucket *b, double per_second, double burst)
{
    b->per_second = per_second;
    b->burst = burst;
    b->tokens = fmin(b->tokens, burst);
}

static double wait_of(const bucket *b, double units)
{
    return units <= b->tokens ? 0 : (units - b->tokens) / b->per_second * 1e6;
}

static bucket full(const limiter_request *r, int64_t now)
{
    return (bucket){.tokens = r->burst, .per_second = r->per_second, .burst = r->burst, .at_us = now};
}

/* ---- Finding and forgetting ---- */

static share *find_share(provider *p, const limiter_request *r, int64_t now)
{
    share *s = p->shares;
    while (s && strcmp(s->workspace, r->workspace) != 0)
        s = s->next;
    if (!s) {
        s = memory_zero(1, sizeof *s);
        *s = (share){.next = p->shares, .workspace = memory_string(r->workspace), .bucket = full(r, now)};
        p->shares = s;
    }
    set_rate(&s->bucket, r->per_second, r->burst);
    s->asked_us = now;
    return s;
}

static bool has_ticket(const provider *p, const share *s)
{
    for (const ticket *t = p->tickets; t; t = t->next)
        if (t->of == s)
            return true;
    return false;
}

/* Tickets whose owner is gone, workspaces that have long been silent; and the rate for all of those left. */
static void tidy(provider *p, int64_t now)
{
    double rate = 0, burst = 0;
    for (ticket **at = &p->tickets; *at;)
        if ((*at)->expires_us < now)
            drop_ticket(at);
        else
            at = &(*at)->next;
    for (share **at = &p->shares; *at;) {
        share *s = *at;
        if (now - s->asked_us > LIMITER_MEMORY_US && !has_ticket(p, s)) {
            *at = s->next;
            free(s->workspace);
            free(s);
            continue;
        }
        refill(&s->bucket, now);
        rate = fmax(rate, s->bucket.per_second);
        burst = fmax(burst, s->bucket.burst);
        at = &s->next;
    }
    refill(&p->bucket, now);
    if (rate > 0)
        set_rate(&p->bucket, rate, burst);
}

static provider *find_provider(limiter *l, const char *name)
{
    provider *p = l->providers;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    return p;
}

/* One that nobody used for long makes room. */
static bool make_room(limiter *l, int64_t now)
{
    size_t n = 0;
    for (provider **at = &l->providers; *at;) {
        provider *p = *at;
        tidy(p, now);
        if (!p->shares) {
            *at = p->next;
            provider_free(p);
            continue;
        }
        n++;
        at = &p->next;
    }
    return n < LIMITER_PROVIDERS_MAX;
}

static provider *make_provider(limiter *l, const limiter_request *r, int64_t now)
{
    if (!make_room(l, now))
        return NULL;
    provider *p = memory_zero(1, sizeof *p);
    *p = (provider){.next = l->providers, .name = memory_string(r->provider), .bucket = full(r, now)};
    l->providers = p;
    return p;
}

/* ---- Taking ---- */

static ticket *find_ticket(const provider *p, uint64_t id)
{
    ticket *t = p->tickets;
    while (t && t->id != id)
        t = t->next;
    return t;
}

static ticket *find_kept(const provider *p, const share *s, const char *instance)
{
    ticket *t = instance ? p->tickets : NULL;
    while (t && !(t->kept && t->of == s && strcmp(t->instance, instance) == 0))
        t = t->next;
    return t;
}

static unsigned count(const provider *p, bool kept)
{
    unsigned n = 0;
    for (const ticket *t = p->tickets; t; t = t->next)
        n += t->kept == kept;
    return n;
}

static ticket *make_ticket(limiter *l, provider *p, share *s, const limiter_request *r)
{
    if (count(p, false) >= LIMITER_WAITERS_MAX)
        return NULL;
    ticket *t = memory_zero(1, sizeof *t);
    *t = (ticket){.next = p->tickets, .id = ++l->last_ticket, .of = s, .units = r->units};
    t->instance = r->instance ? memory_string(r->instance) : NULL;
    t->tag = fmax(p->virtual_time, s->next_tag);
    s->next_tag = t->tag + t->units;
    p->tickets = t;
    return t;
}

/* The one it waits with, or its place that was kept, or a new one at the end. */
static ticket *take_ticket(limiter *l, provider *p, share *s, const limiter_request *r)
{
    ticket *t = r->ticket ? find_ticket(p, r->ticket) : find_kept(p, s, r->instance);
    if (!t)
        return make_ticket(l, p, s, r);
    t->kept = false;
    t->units = r->units;
    return t;
}

static void remove_ticket(provider *p, const ticket *gone)
{
    for (ticket **at = &p->tickets; *at; at = &(*at)->next)
        if (*at == gone) {
            drop_ticket(at);
            return;
        }
}

static bool is_before(const ticket *a, const ticket *b)
{
    return a->tag < b->tag || (a->tag <= b->tag && a->id < b->id);
}

/* How long until its turn: behind those before it in its own workspace, and behind all before it whose own
 * workspace has units left. Who is late is not waited for. */
static int64_t wait_for_turn(const provider *p, const ticket *t, int64_t now)
{
    double own = t->units, all = own;
    for (const ticket *o = p->tickets; o; o = o->next) {
        if (o == t || !is_before(o, t) || (o->kept && o->due_us < now))
            continue;
        own += o->of == t->of ? o->units : 0;
        all += o->of == t->of || o->of->bucket.tokens >= o->units ? o->units : 0;
    }
    double wait = fmax(wait_of(&t->of->bucket, own), wait_of(&p->bucket, all));
    return wait > 0 ? (int64_t)fmin(fmax(wait, WAIT_LEAST_US), 1e15) : 0;
}

static void go(provider *p, ticket *t)
{
    p->bucket.tokens -= t->units;
    t->of->bucket.tokens -= t->units;
    p->virtual_time = fmax(p->virtual_time, t->tag);
    remove_ticket(p, t);
}

/* It does not wait so long: its place is kept, or given up where too many are. */
static void step_aside(provider *p, ticket *t)
{
    share *s = t->of;
    if (t->instance && count(p, true) < LIMITER_PLACES_MAX) {
        t->kept = true;
        t->expires_us = t->due_us + LIMITER_PLACE_US;
        return;
    }
    s->next_tag = fmin(s->next_tag, fmax(t->tag, s->next_tag - t->units));
    remove_ticket(p, t);
}

static status_class check(const limiter_request *r, status *st)
{
    if (!*r->provider || strlen(r->provider) > LIMITER_NAME_MAX)
        return status_set(st, STATUS_INVALID, "a provider has a name of at most %d bytes", LIMITER_NAME_MAX);
    if (!(r->per_second > 0) || !(r->burst >= 1) || !isfinite(r->per_second) || !isfinite(r->burst))
        return status_set(st, STATUS_INVALID, "the rate of %.100s is above 0, its burst at least 1",
                          r->provider);
    if (!(r->units > 0) || r->units > r->burst)
        return status_set(st, STATUS_INVALID, "%g units of %.100s never go at once: its burst is %g",
                          r->units, r->provider, r->burst);
    return STATUS_OK;
}

static status_class take(limiter *l, const limiter_request *r, limiter_answer *answer, status *st)
{
    int64_t now = clock_monotonic_us();
    provider *p = find_provider(l, r->provider);
    if (!p)
        p = make_provider(l, r, now);
    if (!p)
        return status_set(st, STATUS_LIMIT, "more than %d providers have a rate", LIMITER_PROVIDERS_MAX);
    share *s = find_share(p, r, now);
    tidy(p, now);
    ticket *t = take_ticket(l, p, s, r);
    if (!t)
        return status_set(st, STATUS_LIMIT, "more than %d wait for %s", LIMITER_WAITERS_MAX, p->name);
    answer->wait_us = wait_for_turn(p, t, now);
    t->due_us = now + answer->wait_us;
    if (!answer->wait_us) {
        go(p, t);
    } else if (answer->wait_us > r->max_wait_us) {
        step_aside(p, t);
    } else {
        answer->ticket = t->id;
        t->expires_us = t->due_us + LIMITER_GRACE_US;
    }
    return STATUS_OK;
}

status_class limiter_take(limiter *l, const limiter_request *r, limiter_answer *answer_out, status *st)
{
    *answer_out = (limiter_answer){0};
    status_class class = check(r, st);
    if (class != STATUS_OK)
        return class;
    pthread_mutex_lock(&l->lock);
    class = take(l, r, answer_out, st);
    pthread_mutex_unlock(&l->lock);
    return class;
}

void limiter_forget(limiter *l, const char *name, uint64_t id)
{
    pthread_mutex_lock(&l->lock);
    provider *p = find_provider(l, name);
    const ticket *t = p ? find_ticket(p, id) : NULL;
    if (t)
        remove_ticket(p, t);
    pthread_mutex_unlock(&l->lock);
}
