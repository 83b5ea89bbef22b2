/* The source: a poll is one statement, read batch after batch.
 *
 *   rests ──due──▶ connected, described, begun ──rows──▶ … ──last row──▶ ended: rests
 *     ▲                                                    │
 *     └───────────── failure: disconnected ◀───────────────┘
 *
 * With a cursor column every batch says how far it came, so a poll that broke off goes on behind what is
 * durable. */
#include <stdio.h>
#include <string.h>

#include "tables_private.h"
#include "value.h"

enum { BATCH_BYTES = 4 << 20, REJECT_BYTES = 1024, TOLD_AFTER_US = 2000000, SOON_MS = 1 };

static const char once_done[] = "all was read once";

static void give_up(tables *t)
{
    t->d->functions->disconnect(t->d);
    if (t->builder)
        pst_builder_clear(t->builder);
    t->reading = t->described = t->waiting = t->looking = t->is_behind = false;
}

void poll_close(void *self)
{
    give_up(self);
}

pst_status poll_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    tables *t = self;
    (void)call;
    give_up(t);
    t->due_us = 0;
    t->ended = false;
    if (!mark_read(&t->at, resume))
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    const char *column = t->set.cursor ? t->set.cursor : once_done;
    if (*t->at.column && strcmp(t->at.column, column) != 0) {
        pst_field field = {"column", t->at.column};
        t->host->log(t->host, PST_LOG_WARN, "the rows were read by another column before: they are read anew",
                     &field, 1);
        memset(&t->at, 0, sizeof t->at);
    }
    t->ended = !t->every_us && !strcmp(t->at.column, once_done);
    return PST_OK;
}

/* ---- Beginning ---- */

/* Rows of the mark's value are known; where it is crowded, or rows come twice anyway, there are none to know.
 */
static void know(tables *t)
{
    bool from_key = t->at.crowded;
    t->n_known = from_key ? 0 : t->at.n_seen;
    memcpy(t->known, t->at.seen, t->n_known * sizeof *t->known);
    memcpy(t->known_value, t->at.value, t->at.value_len);
    t->known_len = t->at.value_len;
    const driver_column *c = &t->columns.columns[t->columns.cursor];
    t->has_order = t->set.overlap > 0 && *t->at.column &&
                   value_order(c->kind, (driver_value){t->at.value, t->at.value_len}, &t->order);
}

static pst_status begin(tables *t, const pst_call *call, pst_error *error)
{
    pst_status st = t->d->functions->connect(t->d, call, error);
    st = st ? st : tables_describe(t, call, error);
    if (st)
        return st;
    if (!statement_poll(t->d, &t->set, &t->columns, &t->at, &t->statement))
        return pst_fail(error, PST_E_CONFIG, "/overlap", "no time can be taken off the value %.*s",
                        (int)t->at.value_len, t->at.value);
    if (t->statement.text.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    know(t);
    t->from_mark = *t->at.column && t->set.cursor && !t->at.crowded;
    t->n_seen = 0;
    st = t->d->functions->begin(t->d, call, wording_text(&t->statement.text), t->statement.parameters,
                                t->statement.n, error);
    t->reading = !st;
    t->asked_us = t->host->now_us(t->host);
    return st;
}

/* ---- Rows ---- */

static mark_row row_of(const tables *t, const driver_value *values)
{
    driver_value keys[MARK_KEYS_MAX];
    for (size_t i = 0; i < t->set.n_keys; i++)
        keys[i] = values[t->columns.keys[i]];
    return t->set.n_keys ? mark_row_of(keys, t->set.n_keys) : mark_row_of(values, t->columns.n);
}

static bool is_known(tables *t, driver_value at, mark_row row)
{
    bool same = *t->at.column && at.len == t->known_len && !memcmp(at.data, t->known_value, at.len);
    return same && mark_take(t->known, &t->n_known, row);
}

/* The mark behind this row, unless the row lies before it (in the overlap). */
static pst_status move(tables *t, const driver_value *values, mark_row row, pst_error *error)
{
    driver_value at = values[t->columns.cursor], keys[MARK_KEYS_MAX];
    int64_t order;
    bool known = t->has_order && value_order(t->columns.columns[t->columns.cursor].kind, at, &order);
    if (known && order < t->order)
        return PST_OK;
    for (size_t i = 0; i < t->set.n_keys; i++)
        keys[i] = values[t->columns.keys[i]];
    snprintf(t->at.column, sizeof t->at.column, "%s", t->set.cursor);
    if (!mark_move(&t->at, at, keys, t->set.n_keys, row))
        return pst_fail(error, PST_E_CONFIG, "/cursor",
                        "a value of %s or a key is longer than a position can hold", t->set.cursor);
    if (t->at.crowded && !t->set.n_keys)
        return pst_fail(error, PST_E_CONFIG, "/key",
                        "more than %d rows have the same %s, %.*s: name their key", MARK_SEEN_MAX,
                        t->set.cursor, (int)(at.len < 60 ? at.len : 60), at.data);
    return PST_OK;
}

static void reject(tables *t, const driver_value *values, const char *where, const char *why)
{
    char text[REJECT_BYTES];
    size_t len = 0;
    for (size_t i = 0; i < t->columns.n && len + 2 < sizeof text; i++) {
        int most = (int)(values[i].data ? values[i].len < 200 ? values[i].len : 200 : 4);
        int n = snprintf(text + len, sizeof text - len, "%s%s: %.*s", i ? ", " : "",
                         t->columns.columns[i].name, most, values[i].data ? values[i].data : "null");
        len += n < 0 ? 0 : (size_t)n < sizeof text - len ? (size_t)n : sizeof text - len - 1;
    }
    pst_builder_reject(t->builder, text, len, where, why);
}

/* Into the builder, or among the rejects. */
static void put(tables *t, const driver_value *values)
{
    value row[DRIVER_COLUMNS_MAX];
    size_t bytes = 0;
    const char *why = t->aside ? "passed over undecoded" : NULL, *where = "";
    for (size_t i = 0; !why && i < t->columns.n; i++) {
        bytes += values[i].data ? values[i].len : 0;
        where = t->columns.columns[i].name;
        why = bytes > t->max_row_bytes
                  ? "the row is longer than max_row_bytes"
                  : value_read(t->host, t->json, t->columns.columns[i].kind, values[i], &row[i]);
    }
    if (why) {
        reject(t, values, where, why);
        return;
    }
    for (size_t i = 0; i < t->columns.n; i++)
        value_set(t->builder, t->cells[i], t->columns.columns[i].kind, &row[i]);
    pst_builder_row(t->builder);
}

static pst_status take(tables *t, const driver_value *values, uint32_t *taken, pst_error *error)
{
    pst_status st = PST_OK;
    if (t->set.cursor) {
        driver_value at = values[t->columns.cursor];
        mark_row row = row_of(t, values);
        if (!at.data || is_known(t, at, row))
            return PST_OK;
        st = move(t, values, row, error);
    }
    if (!st)
        put(t, values);
    ++*taken;
    return st;
}

/* PST_OK: the batch is full. PST_END, PST_IDLE: of the driver. */
static pst_status collect(tables *t, const pst_call *call, uint32_t max_rows, uint32_t *taken,
                          pst_error *error)
{
    driver_value values[DRIVER_COLUMNS_MAX];
    pst_status st = PST_OK;
    while (!st && *taken < max_rows && pst_builder_bytes(t->builder) < BATCH_BYTES) {
        st = t->d->functions->next(t->d, call, max_rows - *taken, values, error);
        if (!st)
            st = take(t, values, taken, error);
        if (!st) {
            t->asked_us = t->host->now_us(t->host);
            t->n_seen++;
        }
    }
    return st;
}

static void waited_enough(tables *t, const pst_call *call)
{
    if (t->waiting)
        tables_tell(t, call, "");
    t->waiting = false;
}

/* A query may take long: that is said. One that takes longer than the server would let it has nobody who
 * answers. */
static pst_status look_at_clock(tables *t, const pst_call *call, pst_error *error)
{
    char words[120];
    int64_t waited = t->host->now_us(t->host) - t->asked_us;
    if (waited >= t->silence_us)
        return pst_fail(error, PST_E_UNAVAILABLE, "/address",
                        "no answer to the query for %d s, longer than statement_timeout_ms lets it take",
                        (int)(waited / 1000000));
    if (waited >= TOLD_AFTER_US && !t->waiting) {
        int64_t second = (t->host->wall_us(t->host) - waited) / 1000000;
        snprintf(words, sizeof words, "waiting for the answer to the query since %02d:%02d:%02d UTC",
                 (int)(second / 3600 % 24), (int)(second / 60 % 60), (int)(second % 60));
        tables_tell(t, call, words);
        t->waiting = true;
    } else if (waited < TOLD_AFTER_US) {
        waited_enough(t, call);
    }
    return PST_OK;
}

/* ---- The end of a poll ---- */

static pst_status end(tables *t, const pst_call *call, pst_error *error)
{
    pst_status st = t->d->functions->end(t->d, call, error);
    t->reading = false;
    t->due_us = t->host->wall_us(t->host) + t->every_us;
    t->ended = !t->every_us;
    if (!st && t->ended && !t->set.cursor)
        snprintf(t->at.column, sizeof t->at.column, "%s", once_done);
    return st;
}

static pst_status rest(tables *t, pst_batch *out)
{
    int64_t left = t->due_us - t->host->wall_us(t->host);
    if (t->ended)
        return PST_END;
    left = left < t->every_us ? left : t->every_us; /* the clock was set back */
    out->next_in_ms = left > 1000 ? (uint32_t)(left / 1000) : SOON_MS;
    return PST_IDLE;
}

static pst_status hand_over(tables *t, pst_batch *out, pst_error *error)
{
    size_t len = mark_write(&t->at, t->cursor);
    return pst_builder_finish(t->builder, NULL, (pst_bytes){t->cursor, len}, 0, out, error);
}

/* It read what there is. Not even the row that it began at was there? */
static pst_status finish(tables *t, const pst_call *call, pst_error *error)
{
    waited_enough(t, call);
    pst_status st = end(t, call, error);
    if (!st && t->from_mark && !t->n_seen)
        return behind_begin(t, call, error);
    if (!st && t->is_behind)
        tables_tell(t, call, "");
    t->is_behind = false;
    return st;
}

static pst_status go_on(tables *t, const pst_call *call, uint32_t max_rows, uint32_t *taken, pst_error *error)
{
    pst_status st = PST_OK;
    if (t->looking)
        return behind_look(t, call, error);
    if (!t->reading)
        st = begin(t, call, error);
    if (!st)
        st = collect(t, call, max_rows, taken, error);
    return st == PST_END ? finish(t, call, error) : st;
}

pst_status poll_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out, pst_error *error)
{
    tables *t = self;
    uint32_t taken = 0;
    bool due = !t->ended && t->host->wall_us(t->host) >= t->due_us;
    if (!t->reading && !t->looking && !due)
        return rest(t, out);
    pst_status st = go_on(t, call, max_rows, &taken, error);
    if (st >= 0 && (t->reading || t->looking))
        st = look_at_clock(t, call, error);
    if (st < 0) {
        give_up(t);
        return st;
    }
    bool finished = !t->reading && t->ended && !t->set.cursor; /* that must be durable too */
    if (taken || finished)
        return hand_over(t, out, error);
    if (!t->reading && !t->looking)
        return rest(t, out);
    out->next_in_ms = SOON_MS;
    return PST_IDLE;
}

pst_status poll_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    tables *t = self;
    t->aside = true;
    pst_status st = poll_read(self, call, max, out, error);
    t->aside = false;
    return st;
}
