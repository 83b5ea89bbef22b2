/* Two locks: `lock` guards what the writers touch and is held for moments only; `watching` guards the watches
 * and is held by the lane while it makes texts. Who takes both takes `watching` first.
 *
 *   live_push (writer) ── copy of the batch ──► lane: deliver ──► held text | send
 */
#include "flow/live.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/batch_json.h"
#include "base/fault.h"

enum { TICK_US = 15000000, ITEM_ARENA_BYTES = 4096, OWNER_SIZE = 40 };

typedef struct live_store {
    struct live_store *next;
    int32_t wid;
    char key[LIVE_STORE_SIZE];
    uint64_t *marks; /* by shard: the last _seq pushed; 0 = none yet */
    uint64_t mark;   /* never goes back */
    size_t waiting;  /* bytes of items under way */
    bool choked;     /* too many: its watches are to end */
    live_watch *watches;
} live_store;

struct live_watch {
    live_watch *next;
    live_hub *hub;
    live_store *store;
    arena *arena;
    char owner[OWNER_SIZE];
    live_wish wish; /* its texts lie in the arena */
    void *arg;
    bool held;
    const char *ended; /* of a held one: why it is over */
    text waiting;      /* of a held one */
};

typedef struct live_item {
    live_hub *hub;
    arena *arena;
    int32_t wid;
    char key[LIVE_STORE_SIZE];
    batch rows;
    const char *const *names;
    int64_t first_seq, received_us;
    uint64_t mark;         /* 0 = not known */
    char id[LIVE_ID_SIZE]; /* "" = none */
    const char *why;       /* the watches end */
    size_t bytes;
} live_item;

struct live_hub {
    lane *lane;
    journal *journal;
    unsigned shards;
    atomic_uint n_watches;
    pthread_mutex_t watching, lock;
    live_store *stores; /* changed under both */
    bool stopped;
    int64_t ticked_us;
};

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

/* Under either lock. */
static live_store *find_store(const live_hub *h, int32_t wid, const char *key)
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
    live_store *s = find_store(h, wid, key);
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
    arena *a = arena_create(ITEM_ARENA_BYTES);
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

/* ---- events ---- */

static int find_name(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static bool passes(const live_watch *w, const batch *b, const char *const *names, uint32_t row)
{
    text value = {0};
    bool fits = true;
    for (uint32_t i = 0; i < w->wish.n_filters && fits; i++) {
        const live_filter *f = &w->wish.filters[i];
        int at = find_name(names, b->n_columns, f->column);
        text_clear(&value);
        if (at >= 0)
            batch_value_text(&value, &b->columns[at], row);
        fits =
            at >= 0 && !column_is_null(&b->columns[at], row) && strcmp(text_or_empty(&value), f->text) == 0;
    }
    text_free(&value);
    return fits;
}

static void add_members(const live_watch *w, const batch *b, const char *const *names, uint32_t row,
                        text *out)
{
    const char *comma = "";
    for (uint32_t i = 0; i < b->n_columns; i++) {
        bool system = strcmp(names[i], "_seq") == 0 || strcmp(names[i], "_received") == 0;
        if (!system && w->wish.n_columns && find_name(w->wish.columns, w->wish.n_columns, names[i]) < 0)
            continue;
        text_add(out, comma);
        text_add_json_string(out, names[i], strlen(names[i]));
        text_add_char(out, ':');
        batch_value_json(out, &b->columns[i], row);
        comma = ",";
    }
}

/* The mark goes with the last event: who has it has all before it. */
static void add_item(const live_watch *w, const live_item *item, text *out)
{
    uint32_t last = UINT32_MAX;
    for (uint32_t row = item->rows.n_rows; row-- > 0 && last == UINT32_MAX;)
        if (passes(w, &item->rows, item->names, row))
            last = row;
    for (uint32_t row = 0; last != UINT32_MAX && row <= last; row++) {
        if (row != last && !passes(w, &item->rows, item->names, row))
            continue;
        text_add(out, "event: row\n");
        if (row == last && item->id[0])
            text_printf(out, "id: %s\n", item->id);
        text_add(out, "data: {");
        add_members(w, &item->rows, item->names, row, out);
        text_add(out, "}\n\n");
    }
}

void live_events(const live_watch *w, const metric_result *rows, text *out)
{
    live_item item = {.rows = rows->rows, .names = rows->names};
    add_item(w, &item, out);
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
    add_item(w, item, events);
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

static void deliver(void *arg)
{
    live_item *item = arg;
    live_hub *h = item->hub;
    text events = {0};
    pthread_mutex_lock(&h->watching);
    live_store *s = find_store(h, item->wid, item->key);
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

/* ---- the writers ---- */

/* The _seq below which nothing is to come: of the streams that have something waiting the one that is least
 * far; 0 while one of them has not been heard of. Everything that is not waiting was pushed before it was
 * trimmed. */
static uint64_t find_mark(const live_hub *h, const live_store *s, unsigned own, uint64_t last)
{
    uint64_t all = 0, least = UINT64_MAX;
    for (unsigned i = 0; i < h->shards; i++) {
        journal_stream stream;
        uint64_t mark = i == own ? last : s->marks[i];
        all = mark > all ? mark : all;
        bool waits =
            journal_stream_find(h->journal, (uint32_t)s->wid, s->key, JOURNAL_LIVE, (uint16_t)i, &stream) &&
            stream.last_seq != stream.trimmed_seq;
        if (waits && mark < least)
            least = mark;
    }
    return least < all && !fault_active("live") ? least
                                                : all; /* the fault: the last _seq, whoever is behind */
}

static size_t batch_bytes(const batch *b)
{
    size_t n = 0;
    for (uint32_t i = 0; i < b->n_columns; i++)
        n += (size_t)b->n_rows * (column_width(b->columns[i].type) + 5) +
             (b->columns[i].offsets ? (size_t)b->columns[i].offsets[b->n_rows] : 0);
    return n;
}

static column copy_column(arena *a, const column *from, uint32_t n)
{
    column c = *from;
    size_t bits = (n + 7) / 8, width = column_width(from->type);
    if (from->valid)
        c.valid = arena_copy(a, from->valid, bits);
    c.present = NULL;
    if (from->offsets) {
        c.offsets = arena_copy(a, from->offsets, ((size_t)n + 1) * sizeof *c.offsets);
        c.data = arena_copy(a, from->data, (size_t)from->offsets[n]);
    } else {
        c.values = arena_copy(a, from->values, width ? width * n : bits);
    }
    return c;
}

/* The columns of the store, and behind them _seq and _received. */
static void copy_rows(live_item *item, const write_record *r)
{
    arena *a = item->arena;
    uint32_t n = r->rows.n_rows, n_columns = r->rows.n_columns;
    const char **names = arena_zero(a, n_columns + 2, sizeof *names);
    const char *at = arena_copy(a, r->store->names, r->store->names_len);
    column *columns = arena_zero(a, n_columns + 2, sizeof *columns);
    int64_t *seq = arena_zero(a, n + 1, sizeof *seq), *received = arena_zero(a, n + 1, sizeof *received);
    for (uint32_t i = 0; i < n_columns; i++) {
        names[i] = at;
        at += strlen(at) + 1;
        columns[i] = copy_column(a, &r->rows.columns[i], n);
    }
    for (uint32_t i = 0; i < n; i++) {
        seq[i] = r->record->first_row + i;
        received[i] = r->record->received_us;
    }
    names[n_columns] = "_seq";
    columns[n_columns] = (column){.type = COLUMN_INTEGER, .values = seq};
    names[n_columns + 1] = "_received";
    columns[n_columns + 1] = (column){.type = COLUMN_TIMESTAMP, .values = received};
    item->names = names;
    item->rows = (batch){n, n_columns + 2, columns};
}

/* Room for so many bytes on their way to the lane; without it the watches end. Under `lock`. */
static void take_room(live_store *s, size_t bytes, live_item *item)
{
    s->choked = s->choked || s->waiting + bytes > LIVE_WAITING_BYTES;
    item->why = s->choked ? "too_slow" : NULL;
    item->bytes = s->choked ? 0 : bytes;
    s->waiting += item->bytes;
}

/* What becomes of a record, and the mark behind it. False: nobody watches, or there is nothing to tell. */
static bool note_record(live_hub *h, const write_record *r, live_item *item)
{
    const journal_record *j = r->record;
    pthread_mutex_lock(&h->lock);
    live_store *s = find_store(h, (int32_t)j->wid, j->store);
    bool tell = s != NULL;
    if (tell && j->shard < h->shards && j->n_rows) {
        item->mark = find_mark(h, s, j->shard, (uint64_t)j->first_row + j->n_rows - 1);
        item->mark = item->mark > s->mark ? item->mark : s->mark;
    }
    if (tell && (r->dead || !r->store))
        item->why = "restarted"; /* which of the rows are there the table knows */
    else
        tell = tell && r->stored > 0;
    if (tell && !item->why)
        take_room(s, batch_bytes(&r->rows), item);
    if (item->mark)
        snprintf(item->id, sizeof item->id, "%" PRIu64, item->mark);
    pthread_mutex_unlock(&h->lock);
    return tell;
}

static void post(live_hub *h, const write_record *r, live_item *item)
{
    item->arena = arena_create(ITEM_ARENA_BYTES);
    snprintf(item->key, sizeof item->key, "%s", r->record->store);
    if (!item->why)
        copy_rows(item, r);
    lane_post(h->lane, deliver, arena_copy(item->arena, item, sizeof *item));
}

/* Only now: an event of another writer that named these rows must not overtake them. */
static void note_posted(live_hub *h, const write_record *r, uint64_t mark)
{
    const journal_record *j = r->record;
    pthread_mutex_lock(&h->lock);
    live_store *s = find_store(h, (int32_t)j->wid, j->store);
    if (s && j->shard < h->shards && j->n_rows) {
        s->marks[j->shard] = (uint64_t)j->first_row + j->n_rows - 1;
        s->mark = mark > s->mark ? mark : s->mark;
    }
    pthread_mutex_unlock(&h->lock);
}

void live_push(live_hub *h, const write_record *r)
{
    live_item item = {.hub = h, .wid = (int32_t)r->record->wid, .received_us = r->record->received_us};
    if (!live_watches(h) || r->record->kind != JOURNAL_ROWS)
        return;
    bool tell = note_record(h, r, &item);
    uint64_t mark = item.mark;
    if (tell)
        post(h, r, &item);
    note_posted(h, r, mark);
}

/* ---- stores that are computed ---- */

bool live_watched(live_hub *h, int32_t wid, const char *store)
{
    if (!h || !live_watches(h))
        return false;
    pthread_mutex_lock(&h->lock);
    bool watched = find_store(h, wid, store) != NULL;
    pthread_mutex_unlock(&h->lock);
    return watched;
}

static void post_computed(live_item *item, const char *store, const metric_result *rows)
{
    live_hub *h = item->hub;
    pthread_mutex_lock(&h->lock);
    live_store *s = find_store(h, item->wid, store);
    if (s && rows)
        take_room(s, batch_bytes(&rows->rows), item);
    pthread_mutex_unlock(&h->lock);
    if (!s)
        return;
    arena *a = item->arena = arena_create(ITEM_ARENA_BYTES);
    snprintf(item->key, sizeof item->key, "%s", store);
    if (rows && !item->why) {
        uint32_t n = rows->rows.n_columns;
        const char **names = arena_zero(a, n + 1, sizeof *names);
        column *columns = arena_zero(a, n + 1, sizeof *columns);
        for (uint32_t i = 0; i < n; i++) {
            names[i] = arena_string(a, rows->names[i]);
            columns[i] = copy_column(a, &rows->rows.columns[i], rows->rows.n_rows);
        }
        item->names = names;
        item->rows = (batch){rows->rows.n_rows, n, columns};
    }
    lane_post(h->lane, deliver, arena_copy(a, item, sizeof *item));
}

void live_tell(live_hub *h, int32_t wid, const char *store, const metric_result *rows, const char *id)
{
    live_item item = {.hub = h, .wid = wid};
    snprintf(item.id, sizeof item.id, "%s", id);
    post_computed(&item, store, rows);
}

void live_restart(live_hub *h, int32_t wid, const char *store)
{
    live_item item = {.hub = h, .wid = wid, .why = "restarted"};
    if (live_watched(h, wid, store))
        post_computed(&item, store, NULL);
}
