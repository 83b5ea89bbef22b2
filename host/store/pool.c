/* One list of slots. Opening and closing happen outside the lock: a slot that is being opened counts, but
 * belongs to nobody. */
#include "store/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"

enum { EVICTIONS_AN_OLD = 8 }; /* one of so many takes the oldest */

typedef enum slot_state { SLOT_FREE, SLOT_OPENING, SLOT_IDLE, SLOT_LENT } slot_state;

typedef struct slot {
    slot_state state;
    bool forgotten; /* close on return */
    bool read_only;
    char *database, *user;
    int64_t since_us; /* idle since */
    connection *connection;
} slot;

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    connection_options base;
    char *texts[6]; /* copies behind `base` */
    unsigned max, per_login;
    int64_t idle_us;
    slot *slots;
    pool_figures figures;
};

static const char *keep(pool *p, unsigned i, const char *s)
{
    return p->texts[i] = s ? memory_string(s) : NULL;
}

pool *pool_create(const pool_options *o)
{
    pool *p = memory_zero(1, sizeof *p);
    pthread_condattr_t attributes;
    p->base = o->base;
    p->base.host = keep(p, 0, o->base.host);
    p->base.dsn = keep(p, 1, o->base.dsn);
    p->base.database = keep(p, 2, o->base.database);
    p->base.user = keep(p, 3, o->base.user);
    p->base.password = keep(p, 4, o->base.password);
    p->base.application = keep(p, 5, o->base.application);
    p->max = o->connections_max ? o->connections_max : POOL_CONNECTIONS_MAX;
    p->per_login = o->per_login_max ? o->per_login_max : POOL_PER_LOGIN_MAX;
    p->idle_us = (o->idle_ms ? o->idle_ms : POOL_IDLE_MS) * 1000;
    p->slots = memory_zero(p->max, sizeof *p->slots);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->returned, &attributes);
    pthread_condattr_destroy(&attributes);
    return p;
}

/* Empties a slot and hands its connection over, to be closed outside the lock. */
static connection *clear_slot(slot *s)
{
    slot was = *s;
    *s = (slot){0};
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) an emptied slot has none */
    free(was.database);
    free(was.user);
    return was.connection;
}

void pool_free(pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->max; i++) {
        assert(p->slots[i].state != SLOT_LENT && p->slots[i].state != SLOT_OPENING);
        connection_close(clear_slot(&p->slots[i]));
    }
    for (unsigned i = 0; i < 6; i++) {
        if (i == 4 && p->texts[i])
            explicit_bzero(p->texts[i], strlen(p->texts[i]));
        free(p->texts[i]);
    }
    pthread_cond_destroy(&p->returned);
    pthread_mutex_destroy(&p->lock);
    free(p->slots);
    free(p);
}

/* ---- choosing ---- */

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool serves(const slot *s, const connection_options *o)
{
    return same(s->user, o->user) && same(s->database, o->database) && s->read_only == o->read_only;
}

/* Of this login's idle connections the one used last: the others may grow old and be closed. */
static slot *find_idle(pool *p, const connection_options *o)
{
    slot *best = NULL;
    for (unsigned i = 0; i < p->max; i++) {
        slot *s = &p->slots[i];
        if (s->state == SLOT_IDLE && serves(s, o) && (!best || s->since_us > best->since_us))
            best = s;
    }
    return best;
}

static unsigned used_by(const pool *p, const connection_options *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->max; i++)
        n += (p->slots[i].state == SLOT_LENT || p->slots[i].state == SLOT_OPENING) &&
             same(p->slots[i].user, o->user);
    return n;
}

/* Who goes when there is no room. When more logins than there are places come in turns, the one used longest
 * ago is always the one that comes next, and nobody would find his connection: so it is the one used last,
 * and only now and then the oldest, whose login may not come back. */
static slot *find_victim(pool *p)
{
    slot *oldest = NULL, *newest = NULL;
    for (unsigned i = 0; i < p->max; i++) {
        slot *s = &p->slots[i];
        if (s->state != SLOT_IDLE)
            continue;
        oldest = !oldest || s->since_us < oldest->since_us ? s : oldest;
        newest = !newest || s->since_us > newest->since_us ? s : newest;
    }
    return p->figures.evicted % EVICTIONS_AN_OLD == 0 ? oldest : newest;
}

/* A slot to open into; the idle connection that had to go for it is handed over. NULL when all are lent. */
static slot *find_room(pool *p, connection **evicted)
{
    *evicted = NULL;
    for (unsigned i = 0; i < p->max; i++)
        if (p->slots[i].state == SLOT_FREE)
            return &p->slots[i];
    slot *s = find_victim(p);
    if (!s)
        return NULL;
    *evicted = clear_slot(s);
    p->figures.evicted++;
    return s;
}

static connection *take_one_too_old(pool *p)
{
    int64_t now = clock_monotonic_us();
    for (unsigned i = 0; i < p->max; i++)
        if (p->slots[i].state == SLOT_IDLE && now - p->slots[i].since_us > p->idle_us)
            return clear_slot(&p->slots[i]);
    return NULL;
}

/* ---- borrowing ---- */

static status_class open_into(pool *p, slot *s, const connection_options *o, connection *evicted,
                              connection **out, status *st)
{
    s->state = SLOT_OPENING;
    s->read_only = o->read_only;
    s->user = o->user ? memory_string(o->user) : NULL;
    s->database = o->database ? memory_string(o->database) : NULL;
    pthread_mutex_unlock(&p->lock);
    connection_close(evicted);
    status_class ret = connection_open(o, out, st);
    pthread_mutex_lock(&p->lock);
    if (ret != STATUS_OK) {
        clear_slot(s);
        pthread_cond_broadcast(&p->returned);
        return ret;
    }
    s->state = SLOT_LENT;
    s->connection = *out;
    p->figures.opened++;
    return STATUS_OK;
}

/* One try. STATUS_LIMIT: nothing free now. The lock is held. */
static status_class try_borrow(pool *p, const connection_options *o, connection **out, status *st)
{
    connection *evicted;
    slot *s = find_idle(p, o);
    if (s) {
        s->state = SLOT_LENT;
        *out = s->connection;
        return STATUS_OK;
    }
    if (used_by(p, o) >= p->per_login)
        return status_set(st, STATUS_LIMIT, "database: all %u connections of this login are in use",
                          p->per_login);
    s = find_room(p, &evicted);
    if (!s)
        return status_set(st, STATUS_LIMIT, "database: all %u connections are in use", p->max);
    return open_into(p, s, o, evicted, out, st);
}

status_class pool_borrow(pool *p, const pool_login *login, int64_t wait_ms, connection **out, status *st)
{
    connection_options o = p->base;
    struct timespec until;
    *out = NULL;
    if (login) {
        o.database = login->database ? login->database : o.database;
        o.user = login->user ? login->user : o.user;
        o.password = login->password ? login->password : o.password;
        o.read_only = login->read_only;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&p->lock);
    connection *old = take_one_too_old(p);
    status_class ret = try_borrow(p, &o, out, st);
    p->figures.waiting++;
    while (ret == STATUS_LIMIT && pthread_cond_timedwait(&p->returned, &p->lock, &until) != ETIMEDOUT)
        ret = try_borrow(p, &o, out, st);
    p->figures.waiting--;
    p->figures.borrowed += ret == STATUS_OK;
    pthread_mutex_unlock(&p->lock);
    connection_close(old);
    return ret;
}

void pool_return(pool *p, connection *c)
{
    if (!c)
        return;
    connection_rollback(c); /* before the lock: it may wait for the server */
    connection *dead = NULL;
    bool broken = connection_broken(c) || connection_in_transaction(c),
         unfit = broken || connection_repeats(c);
    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->max; i++) {
        slot *s = &p->slots[i];
        if (s->state != SLOT_LENT || s->connection != c)
            continue;
        p->figures.broken += broken;
        if (unfit || s->forgotten) {
            dead = clear_slot(s);
        } else {
            s->state = SLOT_IDLE;
            s->since_us = clock_monotonic_us();
        }
        c = NULL;
        break;
    }
    assert(c == NULL); /* it was ours */
    pthread_cond_broadcast(&p->returned);
    pthread_mutex_unlock(&p->lock);
    connection_close(dead);
}

void pool_forget(pool *p, const char *user)
{
    for (bool more = true; more;) {
        connection *dead = NULL;
        pthread_mutex_lock(&p->lock);
        for (unsigned i = 0; i < p->max && !dead; i++) {
            slot *s = &p->slots[i];
            if (!same(s->user, user))
                continue;
            if (s->state == SLOT_IDLE)
                dead = clear_slot(s);
            else if (s->state != SLOT_FREE)
                s->forgotten = true;
        }
        pthread_mutex_unlock(&p->lock);
        connection_close(dead);
        more = dead != NULL;
    }
}

pool_figures pool_look(pool *p)
{
    pthread_mutex_lock(&p->lock);
    pool_figures f = p->figures;
    for (unsigned i = 0; i < p->max; i++) {
        bool first = p->slots[i].state != SLOT_FREE;
        f.open += first;
        f.idle += p->slots[i].state == SLOT_IDLE;
        for (unsigned k = 0; k < i && first; k++)
            first = p->slots[k].state == SLOT_FREE || !same(p->slots[k].user, p->slots[i].user);
        f.logins += first;
    }
    pthread_mutex_unlock(&p->lock);
    return f;
}
