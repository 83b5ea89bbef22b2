#include "flow/letter_replay.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/dead_letter.h"
#include "flow/source_decode.h"

typedef struct letter { /* one on its way */
    struct run *run;
    letter_ref ref;
    enum { SENT, STORED, DUPLICATE, REJECTED, GONE, WAITING, FAILED, UNREADABLE } fate;
    char code[40], detail[448];
} letter;

typedef struct run {
    const letter_replay *order;
    letter *letters;
    uint32_t n;
    pthread_mutex_t lock;
    pthread_cond_t settled;
    uint32_t under_way;
} run;

static void end(letter *l, int fate, const char *code, const char *detail)
{
    snprintf(l->code, sizeof l->code, "%s", code);
    snprintf(l->detail, sizeof l->detail, "%s", detail);
    l->fate = fate;
}

/* ---- what intake says, on the journal's or a writer's thread ---- */

static void judge(letter *l, const intake_verdict *v)
{
    if (v->st.class == STATUS_INVALID)
        end(l, UNREADABLE, "unreadable", v->st.text);
    else if (v->st.class != STATUS_OK)
        end(l, FAILED, "not_sent", v->st.text);
    else if (v->n_rejects)
        end(l, REJECTED, v->rejects[0].code, v->rejects[0].detail);
    else if (!v->stored)
        end(l, WAITING, "", "");
    else if (v->dead)
        end(l, REJECTED, "not_storable", "PostgreSQL refuses the row");
    else
        end(l, v->new_rows ? STORED : v->duplicates ? DUPLICATE : GONE, "", "");
}

static void on_verdict(void *arg, const intake_verdict *v)
{
    letter *l = arg;
    run *r = l->run;
    pthread_mutex_lock(&r->lock);
    judge(l, v);
    r->under_way--;
    pthread_cond_signal(&r->settled);
    pthread_mutex_unlock(&r->lock);
}

/* ---- sending ---- */

static const datastore_plan *find_store(void *arg, const char *measurement)
{
    return flow_plan_datastore(arg, measurement);
}

static const defined_connector *connector_of(const definition *d, const char *origin)
{
    static const char prefix[] = "connector:";
    if (!origin || strncmp(origin, prefix, sizeof prefix - 1) != 0)
        return NULL;
    for (uint32_t i = 0; i < d->n_connectors; i++)
        if (strcmp(d->connectors[i].object.key, origin + sizeof prefix - 1) == 0)
            return &d->connectors[i];
    return NULL;
}

typedef struct letter_row { /* of the table */
    const char *store, *origin;
    rejected_form form;
    text body;
    bool corrected;
} letter_row;

static void read_row(const rows *found, uint32_t i, arena *a, letter_row *out)
{
    size_t len;
    const char *form = rows_text(found, i, 4);
    *out = (letter_row){.store = rows_text(found, i, 2), .origin = rows_text(found, i, 3)};
    out->corrected = !rows_null(found, i, 7);
    if (out->corrected)
        out->form = REJECTED_JSON;
    else if (!form || !rejected_form_parse(form, &out->form))
        out->form = REJECTED_BYTES;
    if (!out->corrected && !rows_null(found, i, 5)) {
        const void *header = rows_bytes(found, i, 5, a, &len);
        text_add_n(&out->body, header, len);
    }
    const void *bytes = rows_bytes(found, i, out->corrected ? 7 : 6, a, &len);
    text_add_n(&out->body, bytes, len);
}

/* As the connector reads its payloads. */
static bool send_as_connector(run *r, letter *l, const letter_row *row, const defined_connector *c,
                              intake_order *order)
{
    source_decode decode;
    status st;
    if (!c) {
        end(l, UNREADABLE, "unreadable", "the connector that read it is not there any more: correct it");
        return false;
    }
    if (source_decode_make(c, order->store, &decode, &st) != STATUS_OK) {
        end(l, UNREADABLE, "unreadable", st.text);
        return false;
    }
    order->decode = decode.plan;
    intake_body(r->order->intake, order, text_or_empty(&row->body), row->body.len);
    source_decode_free(&decode);
    return true;
}

/* False: it is not under way, and its fate is known. */
static bool send_row(run *r, letter *l, const letter_row *row, intake_order *order)
{
    order->store = flow_plan_datastore(r->order->plan, row->store);
    bool stray = strcmp(row->store, JOURNAL_STORE_UNKNOWN) == 0;
    if (strchr(row->store, ':')) {
        end(l, FAILED, "no_row", "its row lies in its store: correct it there");
        return false;
    }
    if (!rejected_form_format(row->form, &order->format, &order->precision)) {
        end(l, UNREADABLE, "unreadable", "nobody knows how to read its bytes: correct it");
        return false;
    }
    if (stray && order->format == DECODE_LINES) {
        order->plan = r->order->plan;
        order->find = find_store;
        order->find_arg = (void *)r->order->plan;
        intake_lines(r->order->intake, order, text_or_empty(&row->body), row->body.len);
        return true;
    }
    if (!order->store) {
        end(l, UNREADABLE, "unknown_store", "there is no such datastore");
        return false;
    }
    const defined_connector *c = connector_of(r->order->plan->definition, row->origin);
    bool raw = c && c->format && !row->corrected; /* it handed over bytes, not columns */
    if (raw || row->form == REJECTED_CONNECTOR)
        return send_as_connector(r, l, row, raw ? c : NULL, order);
    order->decode = order->store->decode;
    intake_body(r->order->intake, order, text_or_empty(&row->body), row->body.len);
    return true;
}

static void send_letter(run *r, const rows *found, uint32_t i, arena *a)
{
    char id[JOURNAL_REQUEST_MAX + 1];
    letter_row row;
    letter *l = &r->letters[i];
    *l = (letter){.run = r, .ref = {.revision = rows_integer(found, i, 1)}};
    snprintf(l->ref.id, sizeof l->ref.id, "%s", rows_text(found, i, 0));
    snprintf(id, sizeof id, "%s.%u", r->order->request, i);
    read_row(found, i, a, &row);
    intake_order order = {.origin = row.origin,
                          .request_id = id,
                          .lane = JOURNAL_LIVE,
                          .wait_stored = true,
                          .deadline_us = clock_monotonic_us() + r->order->wait_us,
                          .letter = &l->ref,
                          .done = on_verdict,
                          .arg = l};
    pthread_mutex_lock(&r->lock);
    r->under_way++;
    pthread_mutex_unlock(&r->lock);
    if (!send_row(r, l, &row, &order)) {
        pthread_mutex_lock(&r->lock);
        r->under_way--;
        pthread_mutex_unlock(&r->lock);
    }
    text_free(&row.body);
}

static void wait_for_all(run *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->under_way)
        pthread_cond_wait(&r->settled, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

/* ---- what came out ---- */

static void count(const letter *l, arena *a, letter_replay_result *out)
{
    uint32_t *const counts[] = {
        [SENT] = &out->waiting,      [STORED] = &out->stored,      [DUPLICATE] = &out->duplicate,
        [REJECTED] = &out->rejected, [GONE] = &out->gone,          [WAITING] = &out->waiting,
        [FAILED] = &out->failed,     [UNREADABLE] = &out->rejected};
    (*counts[l->fate])++;
    if (l->code[0] && out->n_notes < LETTER_REPLAY_NOTES)
        out->notes[out->n_notes++] =
            (letter_note){arena_string(a, l->ref.id), arena_string(a, l->code), arena_string(a, l->detail)};
}

/* What intake could not make a row of was not journaled: its new reason is written here. */
static status_class settle(const run *r, arena *a, letter_replay_result *out, status *st)
{
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < r->n; i++) {
        const letter *l = &r->letters[i];
        rejected_row why = {.code = l->code, .pointer = "", .detail = l->detail};
        if (l->fate == UNREADABLE && class == STATUS_OK)
            class = dead_letter_return(r->order->c, r->order->plan->wid, &l->ref, &why, st);
        count(l, a, out);
    }
    return class;
}

status_class letter_replay_run(const letter_replay *order, arena *a, letter_replay_result *out, status *st)
{
    rows *found;
    run r = {.order = order};
    *out = (letter_replay_result){0};
    status_class class =
        letters_to_send(order->c, order->plan->wid, order->filter, order->after, order->limit, &found, st);
    if (class != STATUS_OK)
        return class;
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.settled, NULL);
    r.n = out->matched = rows_count(found);
    r.letters = arena_zero(a, r.n + 1, sizeof *r.letters);
    for (uint32_t i = 0; i < r.n; i++)
        send_letter(&r, found, i, a);
    if (r.n == order->limit)
        out->last = arena_string(a, rows_text(found, r.n - 1, 0));
    rows_free(found);
    wait_for_all(&r);
    class = settle(&r, a, out, st);
    pthread_cond_destroy(&r.settled);
    pthread_mutex_destroy(&r.lock);
    return class;
}
