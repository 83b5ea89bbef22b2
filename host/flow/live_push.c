/* What is committed, on its way to the lane:
 *
 *   live_push (writer) ── copy of the batch ──► lane: live_deliver ──► held text | send
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "flow/live_private.h"

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
    live_store *s = live_find_store(h, (int32_t)j->wid, j->store);
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
    item->arena = arena_create(LIVE_ITEM_ARENA_BYTES);
    snprintf(item->key, sizeof item->key, "%s", r->record->store);
    if (!item->why)
        copy_rows(item, r);
    lane_post(h->lane, live_deliver, arena_copy(item->arena, item, sizeof *item));
}

/* Only now: an event of another writer that named these rows must not overtake them. */
static void note_posted(live_hub *h, const write_record *r, uint64_t mark)
{
    const journal_record *j = r->record;
    pthread_mutex_lock(&h->lock);
    live_store *s = live_find_store(h, (int32_t)j->wid, j->store);
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
    bool watched = live_find_store(h, wid, store) != NULL;
    pthread_mutex_unlock(&h->lock);
    return watched;
}

static void post_computed(live_item *item, const char *store, const metric_result *rows)
{
    live_hub *h = item->hub;
    pthread_mutex_lock(&h->lock);
    live_store *s = live_find_store(h, item->wid, store);
    if (s && rows)
        take_room(s, batch_bytes(&rows->rows), item);
    pthread_mutex_unlock(&h->lock);
    if (!s)
        return;
    arena *a = item->arena = arena_create(LIVE_ITEM_ARENA_BYTES);
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
    lane_post(h->lane, live_deliver, arena_copy(a, item, sizeof *item));
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

/* ---- commits whose outcome is not known ---- */

/* Under `lock`: where the store's doubt hangs, or would. */
static live_doubt **find_doubt(live_hub *h, int32_t wid, const char *store)
{
    live_doubt **at = &h->doubts;
    while (*at && ((*at)->wid != wid || strcmp((*at)->key, store) != 0))
        at = &(*at)->next;
    return at;
}

/* Also when nobody watches: who comes before the commit is carried out would not hear of it. */
void live_unsettled(live_hub *h, int32_t wid, const char *store)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    live_doubt **at = find_doubt(h, wid, store);
    if (!*at) {
        *at = memory_zero(1, sizeof **at);
        (*at)->wid = wid;
        snprintf((*at)->key, sizeof(*at)->key, "%s", store);
        atomic_fetch_add(&h->n_doubts, 1);
    }
    pthread_mutex_unlock(&h->lock);
    live_restart(h, wid, store);
}

void live_settled(live_hub *h, int32_t wid, const char *store)
{
    if (!h || !atomic_load(&h->n_doubts) || fault_active("late_commit"))
        return;
    pthread_mutex_lock(&h->lock);
    live_doubt **at = find_doubt(h, wid, store), *d = *at;
    if (d) {
        *at = d->next;
        atomic_fetch_sub(&h->n_doubts, 1);
    }
    pthread_mutex_unlock(&h->lock);
    if (d)
        live_restart(h, wid, store);
    free(d);
}
