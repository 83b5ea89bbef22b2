/* Watches, and the lane that sends them what live_push.c brings. */
#include "flow/live.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/live_event.h"
#include "flow/live_private.h"

enum { TICK_US = 15000000 };

live_hub *live_create(lane_pool *lanes, journal *j, unsigned shards)
{
    live_hub *h = memory_zero(1, sizeof *h);
    h->lane = lane_open(lanes, "live");
    h->journal = j;
    h->shards = shards;
    pthread_mutex_init(&h->watching, NULL);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void live_free(live_hub *h)
{
    if (!h)
        return;
    live_stop(h);
    lane_close(h->lane);
    for (live_doubt *d = h->doubts, *next; d; d = next) {
        next = d->next;
        free(d);
    }
    pthread_mutex_destroy(&h->watching);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

unsigned live_watches(const live_hub *h)
{
    return atomic_load(&h->n_watches);
}

static void on_settled(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
}

void live_settle(live_hub *h)
{
    atomic_bool settled = false;
    lane_post(h->lane, on_settled, &settled);
    while (!atomic_load(&settled))
        sched_yield();
}

live_store *live_find_store(const live_hub *h, int32_t wid, const char *key)
{
    live_store *s = h->stores;
    while (s && (s->wid != wid || strcmp(s->key, key) != 0))
        s = s->next;
    return s;
}

/* ---- watches, under `watching` ---- */

static void drop_store(live_hub *h, live_store *s)
{
    live_store **at = &h->stores;
    while (*at != s)
        at = &(*at)->next;
    pthread_mutex_lock(&h->lock);
    *at = s->next;
    pthread_mutex_unlock(&h->lock);
    free(s->marks);
    free(s);
}

static void unlink_watch(live_watch *w)
{
    live_watch **at = &w->store->watches;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    atomic_fetch_sub(&w->hub->n_watches, 1);
    if (!w->store->watches)
        drop_store(w->hub, w->store);
}

static void free_watch(live_watch *w)
{
    text_free(&w->waiting);
    arena_free(w->arena);
}

/* A held one is still in somebody's hands: it hears of it from live_take. */
static void end_watch(live_watch *w, const char *why)
{
    if (w->held) {
        w->ended = why;
        return;
    }
    unlink_watch(w);
    w->wish.end(w->arg, why);
    free_watch(w);
}

static void end_store(live_store *s, const char *why)
{
    for (live_watch *w = s->watches, *next; w; w = next) {
        bool last = !w->next; /* the store goes with its last watch */
        next = w->next;
        end_watch(w, why);
        if (last)
            return;
    }
}

void live_stop(live_hub *h)
{
    pthread_mutex_lock(&h->watching);
    h->stopped = true;
    for (live_store *s = h->stores, *next; s; s = next) {
        next = s->next;
        end_store(s, "stopped");
    }
    pthread_mutex_unlock(&h->watching);
}

/* ---- opening ---- */

static status_class check_limits(const live_hub *h, const live_wish *wish, status *st)
{
    unsigned workspace = 0, key = 0;
    for (const live_store *s = h->stores; s; s = s->next)
        for (const live_watch *w = s->watches; w; w = w->next) {
            workspace += s->wid == wish->wid;
            key += strcmp(w->owner, wish->owner) == 0;
        }
    if (h->stopped)
        return status_set(st, STATUS_UNAVAILABLE, "the host is stopping");
    if (atomic_load(&h->n_watches) >= LIVE_WATCHES_MAX)
        return status_set(st, STATUS_LIMIT, "%d live views are open on this host", LIVE_WATCHES_MAX);
    if (workspace >= LIVE_WORKSPACE_WATCHES_MAX)
        return status_set(st, STATUS_LIMIT, "%d live views are open in this workspace",
                          LIVE_WORKSPACE_WATCHES_MAX);
    if (key >= LIVE_KEY_WATCHES_MAX)
        return status_set(st, STATUS_LIMIT, "%d live views are open with this key", LIVE_KEY_WATCHES_MAX);
    return STATUS_OK;
}

static live_store *need_store(live_hub *h, int32_t wid, const char *key)
{
    live_store *s = live_find_store(h, wid, key);
    if (s)
        return s;
    s = memory_zero(1, sizeof *s);
    s->wid = wid;
    snprintf(s->key, sizeof s->key, "%s", key);
    s->marks = memory_zero(h->shards, sizeof *s->marks);
    pthread_mutex_lock(&h->lock);
    s->next = h->stores;
    h->stores = s;
    pthread_mutex_unlock(&h->lock);
    return s;
}

static live_watch *make_watch(live_hub *h, const live_wish *wish)
{
    arena *a = arena_create(LIVE_ITEM_ARENA_BYTES);
    live_watch *w = arena_zero(a, 1, sizeof *w);
    *w = (live_watch){.hub = h, .arena = a, .wish = *wish, .held = true};
    snprintf(w->owner, sizeof w->owner, "%s", wish->owner);
    const char **columns = arena_zero(a, wish->n_columns + 1, sizeof *columns);
    live_filter *filters = arena_zero(a, wish->n_filters + 1, sizeof *filters);
    for (uint32_t i = 0; i < wish->n_columns; i++)
        columns[i] = arena_string(a, wish->columns[i]);
    for (uint32_t i = 0; i < wish->n_filters; i++)
        filters[i] =
            (live_filter){arena_string(a, wish->filters[i].column), arena_string(a, wish->filters[i].text)};
    w->wish.columns = columns;
    w->wish.filters = filters;
    return w;
}

status_class live_open(live_hub *h, const live_wish *wish, live_watch **out, status *st)
{
    pthread_mutex_lock(&h->watching);
    status_class class = check_limits(h, wish, st);
    if (class == STATUS_OK) {
        live_watch *w = make_watch(h, wish);
        w->store = need_store(h, wish->wid, wish->store);
        w->next = w->store->watches;
        w->store->watches = w;
        atomic_fetch_add(&h->n_watches, 1);
        *out = w;
    }
    pthread_mutex_unlock(&h->watching);
    return class;
}

void live_attach(live_watch *w, void *arg)
{
    w->arg = arg; /* a held watch is called by nobody else */
}

bool live_take(live_watch *w, text *out)
{
    live_hub *h = w->hub;
    text_clear(out);
    pthread_mutex_lock(&h->watching);
    bool more = !w->ended && w->waiting.len > 0;
    if (more) {
        text swap = *out;
        *out = w->waiting;
        w->waiting = swap;
    } else {
        w->held = false;
        if (w->ended)
            end_watch(w, w->ended);
    }
    pthread_mutex_unlock(&h->watching);
    return more;
}

void live_cancel(live_watch *w, const char *why)
{
    live_hub *h = w->hub;
    pthread_mutex_lock(&h->watching);
    w->held = false;
    end_watch(w, w->ended ? w->ended : why);
    pthread_mutex_unlock(&h->watching);
}

void live_events(const live_watch *w, const metric_result *rows, text *out)
{
    live_event_add(&w->wish, &rows->rows, rows->names, "", out);
}

/* ---- the lane ---- */

static void deliver_to(live_watch *w, const live_item *item, text *events)
{
    if (w->ended)
        return;
    if (item->why) {
        end_watch(w, item->why);
        return;
    }
    text_clear(events);
    live_event_add(&w->wish, &item->rows, item->names, item->id, events);
    if (events->len == 0)
        return;
    if (!w->held) {
        if (!w->wish.send(w->arg, events->data, events->len))
            end_watch(w, NULL);
    } else if (w->waiting.len + events->len > LIVE_HELD_BYTES) {
        end_watch(w, "too_slow");
    } else {
        text_add_n(&w->waiting, events->data, events->len);
    }
}

void live_deliver(void *arg)
{
    live_item *item = arg;
    live_hub *h = item->hub;
    text events = {0};
    pthread_mutex_lock(&h->watching);
    live_store *s = live_find_store(h, item->wid, item->key);
    if (s) {
        pthread_mutex_lock(&h->lock);
        s->waiting -= item->bytes < s->waiting ? item->bytes : s->waiting;
        s->choked = s->choked && s->waiting > 0;
        pthread_mutex_unlock(&h->lock);
    }
    for (live_watch *w = s ? s->watches : NULL, *next; w; w = next) {
        next = w->next; /* the store may go with its last watch */
        deliver_to(w, item, &events);
    }
    pthread_mutex_unlock(&h->watching);
    text_free(&events);
    arena_free(item->arena);
}

static void show_life(void *arg)
{
    static const char comment[] = ": alive\n\n";
    live_hub *h = arg;
    pthread_mutex_lock(&h->watching);
    for (live_store *s = h->stores, *next_store; s; s = next_store) {
        next_store = s->next;
        for (live_watch *w = s->watches, *next; w; w = next) {
            next = w->next;
            if (!w->held && !w->wish.send(w->arg, comment, sizeof comment - 1))
                end_watch(w, NULL);
        }
    }
    pthread_mutex_unlock(&h->watching);
}

void live_tick(live_hub *h, int64_t now_us)
{
    if (now_us - h->ticked_us < TICK_US && now_us >= h->ticked_us)
        return;
    h->ticked_us = now_us;
    if (live_watches(h))
        lane_post(h->lane, show_life, h);
}
