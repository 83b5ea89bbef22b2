/* What a tenant's lane does for its featurestores: builds, slice by slice, and what is dirty. A store waits
 * with its build for those that it reads. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/schedule.h"
#include "flow/ledger.h"
#include "flow/live_stage.h"
#include "flow/tenant_private.h"

enum { STEPS_A_TURN = 50, SERVICE_WAIT_MS = 10000 };
static const int64_t minute_us = 60 * INT64_C(1000000), retry_us = 10 * INT64_C(1000000),
                     slices_a_turn_us = 1000000, spread_us = 600 * INT64_C(1000000);

int64_t tenant_next_time(const tenant *t, const schedule_rule *rule, int64_t now_us, int64_t otherwise_us)
{
    status st;
    int64_t next, width_us = rule->every_us < spread_us ? rule->every_us : spread_us;
    uint32_t wid = (uint32_t)t->wid * 2654435769U; /* spreads what is counted up */
    int64_t phase_us = width_us > 0 ? (int64_t)((double)wid / 4294967296.0 * (double)width_us) : 0;
    if (schedule_next(rule, now_us - phase_us, &next, &st) == STATUS_OK && next != INT64_MAX)
        return next + phase_us;
    return now_us + otherwise_us;
}

void tenant_set_dirty(tenant *t)
{
    for (uint32_t i = 0; i < t->n_featurestores; i++)
        t->dirty[i] = true;
}

/* It has something to do when its time comes. */
static bool wants_refresh(const tenant *t, uint32_t i)
{
    const build *b = &t->builds[i];
    bool building = b->now.kind != BUILD_NONE && !b->now.paused;
    return t->plan->featurestores[i].refresh_sql && (t->dirty[i] || !b->known || building);
}

bool tenant_features_due(const tenant *t, int64_t now_us)
{
    for (uint32_t i = 0; i < t->plan->definition->n_featurestores; i++)
        if (wants_refresh(t, i) && now_us >= t->features[i].due_us)
            return true;
    return false;
}

int64_t tenant_features_next(const tenant *t)
{
    int64_t next_us = INT64_MAX;
    for (uint32_t i = 0; i < t->plan->definition->n_featurestores; i++)
        if (wants_refresh(t, i) && t->features[i].due_us < next_us)
            next_us = t->features[i].due_us;
    return next_us;
}

static status_class borrow_service(work *w, status *st)
{
    return w->service ? STATUS_OK
                      : pool_borrow(w->t->parts.flow->data, NULL, SERVICE_WAIT_MS, &w->service, st);
}

/* ---- builds ---- */

static void show_build(tenant *t, uint32_t i)
{
    pthread_mutex_lock(&t->lock);
    t->builds_shown[i] = t->builds[i].now;
    pthread_mutex_unlock(&t->lock);
}

static bool asked_to_look(tenant *t)
{
    pthread_mutex_lock(&t->lock);
    bool asked = t->look_at_builds;
    t->look_at_builds = false;
    pthread_mutex_unlock(&t->lock);
    return asked;
}

static bool sources_are_built(const tenant *t, const featurestore_plan *f)
{
    for (uint32_t i = 0; i < f->defined->n_from; i++) {
        const featurestore_plan *source = f->defined->from[i].class == CLASS_FEATURESTORE
                                              ? flow_plan_featurestore(t->plan, f->defined->from[i].key)
                                              : NULL;
        const build *b = source ? &t->builds[source - t->plan->featurestores] : NULL;
        if (b && (!b->known || b->now.kind == BUILD_FIRST || b->now.kind == BUILD_BESIDE))
            return false;
    }
    return true;
}

static void look_again(tenant *t, const featurestore_plan *f)
{
    for (uint32_t i = 0; i < f->n_dependants; i++)
        if (f->dependants[i].class == CLASS_FEATURESTORE)
            t->builds[f->dependants[i].index].known = false;
}

/* Who watches is told what a slice wrote, unless into a table beside; once that is the table, he comes back.
 */
static void tell_slice(work *w, const build *b, const build_progress *was, status_class class)
{
    live_hub *live = w->t->parts.live;
    bool whole = b->now.kind == BUILD_NONE;
    int64_t from_us = whole ? was->lower_us : b->now.cursor_us, to_us = was->cursor_us - 1;
    if (class != STATUS_OK || (was->kind == BUILD_BESIDE && whole))
        live_stage_restart(live, &b->f->table);
    else if (was->kind != BUILD_BESIDE && from_us <= to_us)
        live_stage_tell(live, w->data, &b->f->table, &(store_ranges){&from_us, &to_us, NULL, 1});
}

/* Slices until the build is whole, must rest, or the turn is long enough. */
static status_class go_on_building(work *w, uint32_t i, bool now, status *st)
{
    tenant *t = w->t;
    build *b = &t->builds[i];
    int64_t began_us = clock_monotonic_us();
    status_class class = STATUS_OK;
    while (class == STATUS_OK && build_due(b, now ? INT64_MAX : clock_wall_us())) {
        int64_t slice_us = clock_monotonic_us();
        build_progress was = b->now;
        class = build_slice(b, w->data, w->service, st);
        tenant_touched(t, &b->f->table, INT64_MIN);
        tell_slice(w, b, &was, class);
        slice_us = clock_monotonic_us() - slice_us;
        b->rest_until_us = clock_wall_us() + build_rest_us(slice_us, t->parts.flow->build_share);
        show_build(t, i);
        w->changed = true;
        if (b->now.kind == BUILD_NONE) {
            look_again(t, b->f);
            tenant_set_dirty(t); /* rows that came meanwhile */
        }
        if (clock_monotonic_us() - began_us >= slices_a_turn_us)
            break;
    }
    return class;
}

static status_class build_store(work *w, uint32_t i, bool now, status *st)
{
    tenant *t = w->t;
    build *b = &t->builds[i];
    status_class class = STATUS_OK;
    if (b->known && b->now.kind == BUILD_NONE)
        return STATUS_OK;
    if (!sources_are_built(t, b->f) && !b->known)
        return STATUS_OK;
    class = borrow_service(w, st);
    if (class == STATUS_OK && !b->known) {
        class = build_look(b, w->service, t->role, st);
        show_build(t, i);
    }
    if (class == STATUS_OK && sources_are_built(t, b->f))
        class = go_on_building(w, i, now, st);
    return class;
}

/* ---- what is dirty ---- */

/* Keys that must stay as they are, because rows that they are made of are gone, are said in the ledger. */
static status_class book_too_late(work *w, const featurestore_plan *f, uint64_t keys, status *st)
{
    if (keys == 0)
        return STATUS_OK;
    ledger_book *book = ledger_book_create(LEDGER_OTHERS);
    ledger_book_add(book, w->t->plan->wid, f->name, w->now_us, &(ledger_counts){.too_late = keys});
    status_class class = borrow_service(w, st);
    if (class == STATUS_OK)
        class = ledger_book_write(book, w->service, st);
    ledger_book_free(book);
    return class;
}

/* Until nothing is left of what was dirty, or the turn is long enough. */
static status_class refresh(work *w, uint32_t i, uint64_t *keys_out, status *st)
{
    refresh_result r;
    refresh_order order = build_order(&w->t->builds[i]);
    order.live = w->t->parts.live;
    for (int step = 0; step < STEPS_A_TURN; step++) {
        status_class class = featurestore_step(&order, w->data, &r, st);
        tenant_touched(w->t, &w->t->plan->featurestores[i].table, r.oldest_us);
        if (class == STATUS_OK)
            class = book_too_late(w, &w->t->plan->featurestores[i], r.too_late, st);
        if (class != STATUS_OK)
            return class;
        *keys_out += r.keys;
        w->changed = w->changed || r.keys > 0;
        if (!r.more)
            return STATUS_OK;
    }
    w->more = true;
    return STATUS_OK;
}

static void set_dependants_dirty(tenant *t, const featurestore_plan *f)
{
    for (uint32_t i = 0; i < f->n_dependants; i++)
        if (f->dependants[i].class == CLASS_FEATURESTORE)
            t->dirty[f->dependants[i].index] = true;
}

static int64_t next_turn(const work *w, uint32_t i, bool built, int64_t refresh_us)
{
    const build *b = &w->t->builds[i];
    if (!b->known)
        return built ? w->now_us : refresh_us;
    if (b->now.kind == BUILD_NONE || b->now.paused)
        return refresh_us;
    return b->rest_until_us < refresh_us ? b->rest_until_us : refresh_us;
}

static void refresh_store(work *w, uint32_t i, bool now)
{
    tenant *t = w->t;
    const featurestore_plan *f = &t->plan->featurestores[i];
    uint64_t keys = 0;
    status st;
    int64_t refresh_us = t->refresh_due_us[i];
    status_class class = build_store(w, i, now, &st);
    bool known = t->builds[i].known;
    if (class == STATUS_OK && known && (now || w->now_us >= refresh_us)) {
        t->dirty[i] = false;
        class = refresh(w, i, &keys, &st);
        if (class != STATUS_OK || w->more)
            t->dirty[i] = true;
        if (keys)
            set_dependants_dirty(t, f);
        refresh_us = w->more ? 0 : tenant_next_time(t, &f->defined->refresh, w->now_us, minute_us);
        t->refresh_due_us[i] = refresh_us;
    }
    int64_t next_us = class == STATUS_OK ? next_turn(w, i, known, refresh_us) : w->now_us + retry_us;
    if (!known && class == STATUS_OK) /* it waits for what it reads */
        next_us = w->now_us;
    tenant_note(t, &t->features[i], next_us, keys, class == STATUS_OK ? NULL : &st);
}

void tenant_refresh_features(work *w, bool now)
{
    tenant *t = w->t;
    if (asked_to_look(t))
        for (uint32_t i = 0; i < t->plan->definition->n_featurestores; i++) {
            t->builds[i].known = false;
            t->features[i].due_us = 0;
            t->dirty[i] = true;
        }
    for (uint32_t i = 0; i < t->plan->definition->n_featurestores; i++)
        if (t->plan->featurestores[i].refresh_sql &&
            (now || (wants_refresh(t, i) && w->now_us >= t->features[i].due_us)))
            refresh_store(w, i, now);
}

bool tenant_is_incomplete(const tenant *t, const store_table *store)
{
    const featurestore_plan *f =
        store && store->class == STORE_FEATURESTORE ? flow_plan_featurestore(t->plan, store->key) : NULL;
    const build *b = f ? &t->builds[f - t->plan->featurestores] : NULL;
    return b && f->refresh_sql && (!b->known || b->now.kind == BUILD_FIRST);
}
