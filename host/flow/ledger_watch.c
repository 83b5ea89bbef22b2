#include "flow/ledger_watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/utc.h"
#include "flow/wid_statement.h"

enum { TURNS = 10, FOLD_TURNS = 30, SLOTS_FIRST = 64, BORROW_WAIT_MS = 5000 };

typedef struct account {
    int32_t wid; /* 0 = empty slot */
    bool booked; /* since it was looked at */
    bool wrong;
    ledger_counts counts;
    ledger_finding finding;
} account;

struct ledger_watch {
    ledger_watch_parts parts;
    lane *lane;
    atomic_bool looking;
    int64_t next_us;
    unsigned turn;
    pthread_mutex_t lock;
    account *slots; /* open addressing by wid */
    uint32_t n_slots, n_used;
};

ledger_watch *ledger_watch_create(const ledger_watch_parts *parts)
{
    ledger_watch *w = memory_zero(1, sizeof *w);
    w->parts = *parts;
    w->lane = lane_open(parts->lanes, "ledger");
    w->n_slots = SLOTS_FIRST;
    w->slots = memory_zero(w->n_slots, sizeof *w->slots);
    pthread_mutex_init(&w->lock, NULL);
    return w;
}

void ledger_watch_stop(ledger_watch *w)
{
    lane_close(w->lane);
    w->lane = NULL;
}

void ledger_watch_free(ledger_watch *w)
{
    if (!w)
        return;
    lane_close(w->lane);
    free(w->slots);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

/* ---- accounts; the lock is held ---- */

static account *slot_of(const ledger_watch *w, int32_t wid)
{
    uint32_t i = (uint32_t)wid * 2654435761U & (w->n_slots - 1);
    while (w->slots[i].wid && w->slots[i].wid != wid)
        i = (i + 1) & (w->n_slots - 1);
    return &w->slots[i];
}

static void grow(ledger_watch *w)
{
    account *old = w->slots;
    uint32_t n = w->n_slots;
    w->n_slots *= 2;
    w->slots = memory_zero(w->n_slots, sizeof *w->slots);
    for (uint32_t i = 0; i < n; i++)
        if (old[i].wid)
            *slot_of(w, old[i].wid) = old[i];
    free(old);
}

static account *account_of(ledger_watch *w, int32_t wid)
{
    account *a = slot_of(w, wid);
    if (a->wid)
        return a;
    if (++w->n_used * 2 > w->n_slots) {
        grow(w);
        a = slot_of(w, wid);
    }
    a->wid = wid;
    return a;
}

/* ---- figures ---- */

void ledger_watch_book(ledger_watch *w, int32_t wid, const ledger_counts *counts)
{
    pthread_mutex_lock(&w->lock);
    account *a = account_of(w, wid);
    ledger_counts *sum = &a->counts;
    a->booked = true;
    sum->received += counts->received;
    sum->stored += counts->stored;
    sum->duplicate += counts->duplicate;
    sum->rejected += counts->rejected;
    sum->dropped += counts->dropped;
    pthread_mutex_unlock(&w->lock);
}

ledger_counts ledger_watch_booked(ledger_watch *w, int32_t wid)
{
    pthread_mutex_lock(&w->lock);
    ledger_counts counts = slot_of(w, wid)->counts; /* of an empty slot: nothing */
    pthread_mutex_unlock(&w->lock);
    return counts;
}

bool ledger_watch_find(ledger_watch *w, int32_t wid, ledger_finding *out)
{
    pthread_mutex_lock(&w->lock);
    account a = *slot_of(w, wid);
    pthread_mutex_unlock(&w->lock);
    *out = a.finding;
    return a.wrong;
}

uint32_t ledger_watch_findings(ledger_watch *w)
{
    uint32_t n = 0;
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->n_slots; i++)
        n += w->slots[i].wrong;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* ---- one look, on the lane ---- */

static status_class fold(connection *c, int32_t wid, int64_t now_us, status *st)
{
    static const statement sql = {
        "fold the ledger's minutes into hours",
        "WITH old AS (DELETE FROM penstock.ledger_wid# WHERE minute < $1 AND (keeper <> 0 OR minute <> "
        "date_bin('1 hour', minute, timestamptz 'epoch')) RETURNING *) INSERT INTO penstock.ledger_wid# AS l "
        "(store, minute, received, stored, updated, duplicate, rejected, dropped, too_late, expired, "
        "letters, "
        "letter_bytes, unkept, purged) SELECT store, date_bin('1 hour', minute, timestamptz 'epoch'), "
        "sum(received), sum(stored), sum(updated), sum(duplicate), sum(rejected), sum(dropped), "
        "sum(too_late), sum(expired), sum(letters), sum(letter_bytes), sum(unkept), sum(purged) FROM old "
        "GROUP BY 1, 2 ORDER BY 1, 2 ON CONFLICT (store, minute, keeper) DO UPDATE SET "
        "received = l.received + excluded.received, stored = l.stored + excluded.stored, "
        "updated = l.updated + excluded.updated, duplicate = l.duplicate + excluded.duplicate, "
        "rejected = l.rejected + excluded.rejected, dropped = l.dropped + excluded.dropped, "
        "too_late = l.too_late + excluded.too_late, expired = l.expired + excluded.expired, "
        "letters = l.letters + excluded.letters, letter_bytes = l.letter_bytes + excluded.letter_bytes, "
        "unkept = l.unkept + excluded.unkept, purged = l.purged + excluded.purged"};
    const value before = value_time_us(now_us - LEDGER_MINUTES_US);
    return wid_statement_run(c, &sql, wid, &before, 1, NULL, st);
}

static status_class look(connection *c, const ledger_subject *s, ledger_finding *out, status *st)
{
    static const statement sql = {
        "look whether the ledger balances",
        "SELECT store, minute, received - (stored + duplicate + rejected + dropped), count(*) OVER () FROM "
        "penstock.ledger_wid# WHERE received <> stored + duplicate + rejected + dropped ORDER BY minute, "
        "store LIMIT 1"};
    rows *found;
    status_class class = wid_statement_run(c, &sql, s->wid, NULL, 0, &found, st);
    if (class != STATUS_OK)
        return class;
    *out = (ledger_finding){.subject = *s};
    if (rows_count(found)) {
        snprintf(out->store, sizeof out->store, "%s", rows_text(found, 0, 0));
        out->minute_us = rows_time_us(found, 0, 1);
        out->difference = rows_integer(found, 0, 2);
        out->minutes = rows_integer(found, 0, 3);
    }
    rows_free(found);
    return STATUS_OK;
}

static void tell(const ledger_finding *f)
{
    char minute[UTC_TEXT_SIZE];
    utc_format(f->minute_us, minute);
    if (f->minutes)
        log_error("ledger",
                  "the ledger does not balance: received is not stored + duplicate + rejected + dropped",
                  LOG_TEXT("workspace", f->subject.workspace), LOG_TEXT("store", f->store),
                  LOG_TEXT("minute", minute), LOG_NUMBER("difference", f->difference),
                  LOG_NUMBER("minutes", f->minutes));
    else
        log_info("ledger", "the ledger balances again", LOG_TEXT("workspace", f->subject.workspace));
}

static void keep(ledger_watch *w, const ledger_finding *f)
{
    pthread_mutex_lock(&w->lock);
    account *a = account_of(w, f->subject.wid);
    bool news = a->wrong != (f->minutes > 0);
    a->wrong = f->minutes > 0;
    a->finding = *f;
    pthread_mutex_unlock(&w->lock);
    if (news)
        tell(f);
}

static bool folds(const ledger_watch *w)
{
    return w->turn % FOLD_TURNS == 0;
}

/* True once after something was booked, or when it is the workspace's turn, or as long as it was wrong. */
static bool is_due(ledger_watch *w, const ledger_subject *s)
{
    pthread_mutex_lock(&w->lock);
    account *a = account_of(w, s->wid);
    bool due = folds(w) || a->booked || a->wrong || (unsigned)s->wid % TURNS == w->turn % TURNS;
    a->booked = false;
    pthread_mutex_unlock(&w->lock);
    return due;
}

/* A workspace that was deleted meanwhile has no ledger: the next look does not meet it any more. */
static void look_at(ledger_watch *w, connection *c, const ledger_subject *s)
{
    status st;
    ledger_finding f;
    status_class class = folds(w) ? fold(c, s->wid, clock_wall_us(), &st) : STATUS_OK;
    if (class == STATUS_OK && look(c, s, &f, &st) == STATUS_OK)
        keep(w, &f);
    else
        log_status(LOG_LEVEL_WARN, "ledger", "a ledger could not be looked at", &st);
}

/* A workspace that does not run here any more is nobody's alarm. */
static void forget_others(ledger_watch *w, const ledger_subject *subjects, uint32_t n)
{
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->n_slots; i++) {
        bool there = !w->slots[i].wrong;
        for (uint32_t k = 0; k < n && !there; k++)
            there = subjects[k].wid == w->slots[i].wid;
        w->slots[i].wrong = w->slots[i].wrong && there;
    }
    pthread_mutex_unlock(&w->lock);
}

static void on_lane(void *arg)
{
    ledger_watch *w = arg;
    uint32_t n;
    status st;
    connection *c = NULL;
    ledger_subject *subjects = w->parts.subjects(w->parts.arg, &n);
    if (pool_borrow(*w->parts.data, NULL, BORROW_WAIT_MS, &c, &st) == STATUS_OK)
        for (uint32_t i = 0; i < n && !connection_broken(c); i++)
            if (is_due(w, &subjects[i]))
                look_at(w, c, &subjects[i]);
    pool_return(*w->parts.data, c);
    forget_others(w, subjects, n);
    free(subjects);
    w->turn++;
    atomic_store(&w->looking, false);
}

void ledger_watch_tick(ledger_watch *w, int64_t now_us)
{
    if (now_us < w->next_us || !w->lane || atomic_exchange(&w->looking, true))
        return;
    w->next_us = now_us + w->parts.every_us;
    lane_post(w->lane, on_lane, w);
}
