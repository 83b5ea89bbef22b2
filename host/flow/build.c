/* A build from slice to slice, and what follows from one for the stores that read this one. */
#include "flow/build.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "base/utc.h"
#include "flow/build_recipe.h"
#include "flow/build_state.h"
#include "flow/dirty_marks.h"
#include "flow/refresh_sql.h"

static const int64_t first_span_us = UTC_DAY_US, widest_span_us = 400 * UTC_DAY_US;

void build_init(build *b, const featurestore_plan *f)
{
    *b = (build){.f = f, .span_us = first_span_us, .oldest_us = INT64_MIN};
}

void build_release(build *b)
{
    arena_free(b->arena);
    *b = (build){.f = b->f, .span_us = first_span_us, .oldest_us = INT64_MIN};
}

static status_class make_plans(build *b, const char *old_body, status *st)
{
    b->arena = arena_create(0);
    b->beside = arena_zero(b->arena, 1, sizeof *b->beside);
    *b->beside = *b->f;
    b->beside->table.part = "next";
    b->old = build_recipe_old(b->arena, b->f, old_body);
    return refresh_sql_make(b->arena, b->f->plan, b->beside, st);
}

/* ---- beginning ---- */

static bool has_time(const store_table *t)
{
    return t->time_column >= 0;
}

/* From the oldest to the newest row of the sources, as borders of buckets. False: they are empty. */
static status_class find_bounds(build *b, connection *c, bool *any_out, status *st)
{
    const featurestore_plan *f = b->f;
    int64_t lower = INT64_MAX, upper = INT64_MIN;
    status_class class = STATUS_OK;
    for (uint32_t i = 0; i < f->defined->n_from && class == STATUS_OK; i++) {
        const store_table *t = flow_plan_table(f->plan, f->defined->from[i].class, f->defined->from[i].key);
        if (t && has_time(t))
            class = build_source_bounds(c, t, &lower, &upper, st);
    }
    *any_out = lower <= upper;
    b->now.lower_us = b->now.upper_us = b->now.cursor_us = b->oldest_us == INT64_MIN ? 0 : b->oldest_us;
    if (class != STATUS_OK || !*any_out)
        return class;
    b->now.lower_us = bucket_start(&f->bucket, lower - f->defined->reach_after_us);
    b->now.upper_us = bucket_end(&f->bucket, upper + f->defined->reach_before_us);
    while (b->oldest_us != INT64_MIN && b->now.lower_us - f->defined->reach_before_us < b->oldest_us)
        b->now.lower_us = bucket_end(&f->bucket, b->oldest_us + f->defined->reach_before_us - 1);
    if (b->now.upper_us < b->now.lower_us)
        b->now.upper_us = b->now.lower_us;
    b->now.cursor_us = b->now.upper_us;
    return STATUS_OK;
}

static status_class finish(build *b, connection *c, status *st);

/* A build of this definition that is not under way yet. */
static status_class begin(build *b, connection *c, const build_record *found, const char *role,
                          const char *hash, status *st)
{
    bool any;
    build_kind kind = found->has_object ? BUILD_BESIDE : BUILD_FIRST;
    b->now = (build_progress){.kind = kind, .started_us = clock_wall_us()};
    status_class class = find_bounds(b, c, &any, st);
    if (class == STATUS_OK && kind == BUILD_BESIDE)
        class = build_make_next(c, &b->f->table, role, st);
    else if (class == STATUS_OK && found->has_build)
        class = build_clear(c, &b->f->table, st);
    if (class == STATUS_OK)
        class = build_insert(c, b->f, &b->now, hash, st);
    if (class != STATUS_OK)
        return class;
    log_info("build",
             kind == BUILD_FIRST ? "a featurestore is built from what its sources hold"
                                 : "a changed featurestore is built beside the old one",
             LOG_TEXT("workspace", b->f->plan->definition->workspace),
             LOG_TEXT("featurestore", b->f->defined->object.key));
    return STATUS_OK;
}

static status_class take_found(build *b, connection *c, const build_record *found, const char *role,
                               status *st)
{
    char hash[DIGEST_TEXT_SIZE];
    char *body = build_recipe(b->f, hash);
    bool same = found->has_object && strcmp(found->hash, hash) == 0;
    bool under_way = found->has_build && strcmp(found->build_hash, hash) == 0;
    status_class class = STATUS_OK;
    free(body);
    if (found->has_build && under_way)
        b->now = found->progress;
    else if (!same)
        class = begin(b, c, found, role, hash, st);
    else if (found->has_build)
        class = build_delete(c, b->f, st); /* of a definition that was taken back */
    if (class == STATUS_OK && b->now.kind == BUILD_BESIDE && !b->beside)
        class = make_plans(b, found->body ? found->body : "{}", st);
    return class;
}

status_class build_look(build *b, connection *c, const char *role, status *st)
{
    build_record found;
    int64_t span_us = b->span_us, rest_us = b->rest_until_us;
    build_release(b);
    b->span_us = span_us;
    b->rest_until_us = rest_us;
    status_class class = build_read(c, b->f, &found, st);
    if (class != STATUS_OK)
        return class;
    b->oldest_us = found.oldest_us;
    class = take_found(b, c, &found, role, st);
    build_record_free(&found);
    b->known = class == STATUS_OK;
    return class;
}

/* ---- slices ---- */

bool build_due(const build *b, int64_t now_us)
{
    return b->known && b->now.kind != BUILD_NONE && !b->now.paused && now_us >= b->rest_until_us;
}

int64_t build_rest_us(int64_t took_us, unsigned share)
{
    unsigned percent = share == 0 ? BUILD_SHARE_DEFAULT : share > 100 ? 100 : share;
    return took_us * (100 - percent) / percent;
}

refresh_order build_order(const build *b)
{
    if (b->now.kind == BUILD_BESIDE)
        return (refresh_order){b->old, b->beside, b->oldest_us, NULL};
    return (refresh_order){b->f, NULL, b->oldest_us, NULL};
}

static int64_t slice_start(const build *b)
{
    int64_t from = b->now.cursor_us - b->span_us;
    if (from <= b->now.lower_us)
        return b->now.lower_us;
    int64_t start = bucket_start(&b->f->bucket, from);
    return start < b->now.cursor_us ? start : bucket_start(&b->f->bucket, b->now.cursor_us - 1);
}

static void adapt(build *b, int64_t took_us)
{
    if (took_us > 2 * BUILD_SLICE_US && b->span_us > 1)
        b->span_us /= 2;
    else if (took_us < BUILD_SLICE_US / 2 && b->span_us < widest_span_us)
        b->span_us *= 2;
}

static status_class compute_slice(build *b, connection *workspace, connection *service, status *st)
{
    const featurestore_plan *target = b->beside ? b->beside : b->f;
    int64_t from = slice_start(b), began_us = clock_monotonic_us();
    uint64_t rows;
    status_class class = featurestore_range(target, workspace, from, b->now.cursor_us, &rows, st);
    if (class != STATUS_OK)
        return class;
    int64_t took_us = clock_monotonic_us() - began_us;
    b->now.cursor_us = from;
    b->now.rows += rows;
    b->now.busy_us += took_us;
    adapt(b, took_us);
    return build_update(service, b->f, &b->now, st);
}

status_class build_slice(build *b, connection *workspace, connection *service, status *st)
{
    status_class class = STATUS_OK;
    if (b->now.cursor_us > b->now.lower_us)
        class = compute_slice(b, workspace, service, st);
    if (class == STATUS_OK && b->now.cursor_us <= b->now.lower_us)
        class = finish(b, service, st);
    if (class != STATUS_OK && strncmp(b->now.problem, st->text, sizeof b->now.problem - 1) != 0) {
        status ignored;
        snprintf(b->now.problem, sizeof b->now.problem, "%s", st->text);
        build_update(service, b->f, &b->now, &ignored);
    }
    return class;
}

/* ---- a stretch of time ---- */

/* Widened to borders of buckets, as far as the sources have rows. */
static status_class find_stretch(const featurestore_plan *f, connection *c, int64_t oldest_us,
                                 int64_t from_us, int64_t to_us, build_progress *out, bool *any_out,
                                 status *st)
{
    build whole = {.f = f, .oldest_us = oldest_us};
    status_class class = find_bounds(&whole, c, any_out, st);
    if (class != STATUS_OK || !*any_out)
        return class;
    int64_t lower = bucket_start(&f->bucket, from_us), upper = bucket_end(&f->bucket, to_us - 1);
    *out = (build_progress){.kind = BUILD_BACKFILL, .started_us = clock_wall_us()};
    out->lower_us = lower > whole.now.lower_us ? lower : whole.now.lower_us;
    out->upper_us = upper < whole.now.upper_us ? upper : whole.now.upper_us;
    out->cursor_us = out->upper_us;
    *any_out = out->lower_us < out->upper_us;
    return STATUS_OK;
}

/* A build that is under way may have passed the stretch: a backfill takes it in, any other begins again. */
static status_class build_again(const featurestore_plan *f, connection *c, const build_progress *stretch,
                                status *st)
{
    bool widened;
    status_class class = build_widen(c, f, stretch->lower_us, stretch->upper_us, &widened, st);
    return class == STATUS_OK && !widened ? build_forget(c, f, st) : class;
}

static status_class backfill(const featurestore_plan *f, connection *c, int64_t from_us, int64_t to_us,
                             bool whatever_is_built, status *st)
{
    char hash[DIGEST_TEXT_SIZE];
    build_record found;
    build_progress stretch;
    bool any = false;
    if (from_us >= to_us)
        return status_set(st, STATUS_INVALID, "the stretch ends before it begins");
    status_class class = build_read(c, f, &found, st);
    if (class != STATUS_OK)
        return class;
    bool busy = found.has_build || !found.has_object;
    int64_t oldest_us = found.oldest_us;
    build_record_free(&found);
    if (busy && !whatever_is_built)
        return status_set(st, STATUS_CONFLICT, "featurestore %s is being built", f->defined->object.key);
    free(build_recipe(f, hash));
    class = find_stretch(f, c, oldest_us, from_us, to_us, &stretch, &any, st);
    if (class != STATUS_OK || !any)
        return class;
    return busy ? build_again(f, c, &stretch, st) : build_insert(c, f, &stretch, hash, st);
}

/* ---- the end ---- */

/* What reads this store is computed again from it: stores are built, scores are marked. */
static status_class pass_on(build *b, connection *c, status *st)
{
    const featurestore_plan *f = b->f;
    status_class class = STATUS_OK;
    bool part = b->now.kind == BUILD_BACKFILL;
    for (uint32_t i = 0; i < f->n_dependants && class == STATUS_OK; i++) {
        const dependant *d = &f->dependants[i];
        if (d->class != CLASS_FEATURESTORE)
            class = dirty_marks_all(c, f->plan->wid, &f->table, d, part ? b->now.lower_us : UTC_MIN_US,
                                    part ? b->now.upper_us : UTC_MAX_US, st);
        else
            class = part ? backfill(&f->plan->featurestores[d->index], c, b->now.lower_us - d->after_us,
                                    b->now.upper_us + d->before_us, true, st)
                         : build_forget(c, &f->plan->featurestores[d->index], st);
    }
    return class;
}

static status_class finish_inside(build *b, connection *c, const char *hash, const char *body, status *st)
{
    status_class class = STATUS_OK;
    if (b->now.kind == BUILD_BESIDE)
        class = build_switch(c, &b->f->table, b->now.lower_us, b->oldest_us != INT64_MIN, st);
    if (class == STATUS_OK && b->now.kind != BUILD_BACKFILL)
        class = build_note_object(c, b->f, hash, body, st);
    if (class == STATUS_OK)
        class = build_delete(c, b->f, st);
    return class == STATUS_OK ? pass_on(b, c, st) : class;
}

static status_class finish(build *b, connection *c, status *st)
{
    char hash[DIGEST_TEXT_SIZE];
    char *body = build_recipe(b->f, hash);
    status_class class = connection_begin(c, st);
    if (class == STATUS_OK) {
        class = finish_inside(b, c, hash, body, st);
        if (class == STATUS_OK)
            class = connection_commit(c, st);
        else
            connection_rollback(c);
    }
    free(body);
    if (class != STATUS_OK)
        return class;
    log_info("build", "a featurestore is built", LOG_TEXT("workspace", b->f->plan->definition->workspace),
             LOG_TEXT("featurestore", b->f->defined->object.key), LOG_NUMBER("rows", (int64_t)b->now.rows),
             LOG_NUMBER("busy_ms", b->now.busy_us / 1000));
    int64_t oldest_us = b->oldest_us;
    build_release(b);
    b->oldest_us = oldest_us;
    b->known = true;
    return STATUS_OK;
}

/* ---- asked for ---- */

status_class build_backfill(const featurestore_plan *f, connection *c, int64_t from_us, int64_t to_us,
                            status *st)
{
    return backfill(f, c, from_us, to_us, false, st);
}

status_class build_read_progress(const featurestore_plan *f, connection *c, build_progress *out, status *st)
{
    build_record found;
    status_class class = build_read(c, f, &found, st);
    *out = class == STATUS_OK ? found.progress : (build_progress){0};
    if (class == STATUS_OK)
        build_record_free(&found);
    return class;
}

status_class build_pause(const featurestore_plan *f, connection *c, bool paused, status *st)
{
    bool found;
    status_class class = build_set_paused(c, f, paused, &found, st);
    if (class == STATUS_OK && !found)
        return status_set(st, STATUS_NOT_FOUND, "nothing of featurestore %s is being built",
                          f->defined->object.key);
    return class;
}

/* ---- what people see ---- */

double build_percent(const build_progress *p)
{
    int64_t all = p->upper_us - p->lower_us;
    return all > 0 ? 100.0 * (double)(p->upper_us - p->cursor_us) / (double)all : 100.0;
}

static void set_time(json_t *o, const char *key, int64_t us)
{
    char out[UTC_TEXT_SIZE];
    utc_format(us, out);
    json_object_set_new(o, key, json_string(out));
}

json_t *build_json(const build_progress *p, int64_t now_us)
{
    static const char *const kinds[] = {"", "first", "beside", "backfill"};
    double percent = build_percent(p);
    if (p->kind == BUILD_NONE)
        return NULL;
    json_t *o =
        json_pack("{s:s, s:f, s:I, s:b}", "kind", kinds[p->kind], "percent",
                  (double)(int64_t)(percent * 10) / 10, "rows", (json_int_t)p->rows, "paused", p->paused);
    set_time(o, "from", p->lower_us);
    set_time(o, "to", p->upper_us);
    set_time(o, "started", p->started_us);
    if (percent >= 1 && !p->paused)
        json_object_set_new(
            o, "eta_seconds",
            json_integer((json_int_t)((double)(now_us - p->started_us) / 1e6 * (100 - percent) / percent)));
    if (p->problem[0])
        json_object_set_new(o, "problem", json_string(p->problem));
    return o;
}
