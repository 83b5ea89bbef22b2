/* Plan and apply. The workspace's row is locked while its tables are changed, so two applies never meet; the
 * generation decides whether the plan still fits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "control/audit.h"
#include "control/workspace_rows.h"
#include "control/workspace_tables.h"

static const statement add_plan = {
    "store a plan", "INSERT INTO control.plan (id, wid, generation, document, changes, expires)"
                    " VALUES ($1, $2, $3, $4::json, $5::json, $6)"};
static const statement find_plan = {
    "read a plan", "SELECT id, wid, generation, expires, applied IS NOT NULL, changes::text, document::text"
                   " FROM control.plan WHERE id = $1"};
static const statement mark_applied = {
    "mark a plan as applied", "UPDATE control.plan SET applied = now() WHERE id = $1 AND applied IS NULL"};
static const statement take_document = {
    "take a plan over",
    "UPDATE control.workspace SET document = $2::json, generation = $3, template = $4, version = $5,"
    " updated = now() WHERE wid = $1"};
static const statement forget_plans = {"forget old plans",
                                       "DELETE FROM control.plan WHERE expires < now() - interval '1 day'"};

/* ---- planning ---- */

typedef struct planning {
    control *control;
    const plan_request *request;
    workspace *now;
    arena *arena;
    json_t *document, *body; /* of the present; of the template asked for */
    template_report **report;
    status *st;
} planning;

static status_class find_body(planning *p)
{
    const char *version;
    if (p->request->version)
        return template_get(p->control, p->now->template, p->request->version, p->arena, &version, &p->body,
                            p->st);
    p->body = json_incref(json_object_get(p->document, "template"));
    return STATUS_OK;
}

static json_t *unless_null(json_t *v)
{
    return json_is_null(v) ? NULL : v;
}

static status_class make_next(planning *p, const definition **ret)
{
    const plan_request *q = p->request;
    json_t *local = unless_null(q->local ? q->local : json_object_get(p->document, "local"));
    status_class class = workspace_check_local(p->control, p->body, local, p->report, p->st);
    if (class != STATUS_OK)
        return class;
    const definition_source source = {
        .template_body = p->body,
        .local_body = local,
        .parameters = unless_null(q->parameters ? q->parameters : json_object_get(p->document, "parameters")),
        .wid = p->now->wid,
        .workspace = p->now->key,
        .workspace_id = p->now->id,
        .generation = p->now->generation + 1};
    return definition_make(&source, ret, p->st);
}

static status_class store_plan(planning *p, const definition *next, stored_plan *ret)
{
    char ulid[27];
    connection *db = NULL;
    ulid_make(ulid);
    const evolution *e = evolution_plan(p->now->definition, next, p->arena);
    *ret = (stored_plan){.id = arena_printf(p->arena, "plan_%s", ulid),
                         .wid = p->now->wid,
                         .generation = p->now->generation,
                         .expires_us = clock_wall_us() + PLAN_LIFE_US,
                         .changes = evolution_json(e)};
    char *document = workspace_document_text(next), *changes = json_dumps(ret->changes, JSON_COMPACT);
    const value params[] = {value_text(ret->id),  value_integer(ret->wid), value_integer(ret->generation),
                            value_text(document), value_text(changes),     value_time_us(ret->expires_us)};
    status_class class = pool_borrow(p->control->control, NULL, CONTROL_WAIT_MS, &db, p->st);
    if (class == STATUS_OK)
        class = connection_run(db, &forget_plans, NULL, 0, NULL, p->st);
    if (class == STATUS_OK)
        class = connection_run(db, &add_plan, params, 6, NULL, p->st);
    pool_return(p->control->control, db);
    free(document);
    free(changes);
    if (class != STATUS_OK)
        json_decref(ret->changes);
    return class;
}

status_class workspace_plan(control *c, int32_t wid, const plan_request *request, arena *a, stored_plan *ret,
                            template_report **report, status *st)
{
    planning p = {.control = c, .request = request, .arena = a, .report = report, .st = st};
    const definition *next = NULL;
    status_class class = workspace_load(c, wid, NULL, &p.now, st);
    if (class != STATUS_OK)
        return class;
    p.document = definition_to_json(p.now->definition);
    class = find_body(&p);
    if (class == STATUS_OK)
        class = make_next(&p, &next);
    if (class == STATUS_OK)
        class = store_plan(&p, next, ret);
    definition_release(next);
    json_decref(p.body);
    json_decref(p.document);
    workspace_free(p.now);
    return class;
}

static status_class read_plan(connection *db, const char *id, arena *a, stored_plan *ret,
                              json_t **ret_document, status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = connection_run(db, &find_plan, params, 1, &r, st);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no plan \"%.60s\"", id);
    if (class == STATUS_OK) {
        *ret = (stored_plan){.id = arena_string(a, rows_text(r, 0, 0)),
                             .wid = (int32_t)rows_integer(r, 0, 1),
                             .generation = rows_integer(r, 0, 2),
                             .expires_us = rows_time_us(r, 0, 3),
                             .applied = rows_boolean(r, 0, 4),
                             .changes = json_loads(rows_text(r, 0, 5), 0, NULL)};
        if (ret_document)
            *ret_document = json_loads(rows_text(r, 0, 6), 0, NULL);
    }
    rows_free(r);
    return class;
}

status_class plan_load(control *c, const char *id, arena *a, stored_plan *ret, status *st)
{
    connection *db = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = read_plan(db, id, a, ret, NULL, st);
    pool_return(c->control, db);
    return class;
}

/* ---- applying ---- */

typedef struct application {
    control *control;
    connection *db; /* in a transaction that holds the workspace's row */
    workspace *now;
    stored_plan plan;
    json_t *document;
    const definition *next, *complete; /* without and with the columns of featurestores */
    tables_change change;
    const char *actor;
    status *st;
} application;

static status_class check_plan(application *p, bool destroy)
{
    const json_t *change;
    size_t i;
    if (p->plan.applied)
        return status_set(p->st, STATUS_CONFLICT, "the plan was applied already");
    if (p->plan.expires_us < clock_wall_us())
        return status_set(p->st, STATUS_CONFLICT, "the plan is older than an hour: plan again");
    json_array_foreach(json_object_get(p->plan.changes, "changes"), i, change)
    {
        const char *key = json_string_value(json_object_get(change, "key"));
        const char *reason = json_string_value(json_object_get(change, "reason"));
        if (strcmp(json_string_value(json_object_get(change, "action")), "refuse") == 0)
            return status_set(p->st, STATUS_INVALID, "the plan holds a refused change: %s: %s", key,
                              reason ? reason : "");
        if (json_is_true(json_object_get(change, "destructive")) && !destroy)
            return status_set(p->st, STATUS_INVALID, "the plan destroys data of %s: that must be confirmed",
                              key);
        p->change.rewrite |= json_is_true(json_object_get(change, "rewrite"));
    }
    return STATUS_OK;
}

static status_class check_generation(application *p)
{
    int64_t generation;
    json_t *document = NULL;
    status_class class = workspace_document(p->db, p->plan.wid, true, &generation, &document, p->st);
    json_decref(document);
    if (class == STATUS_OK && generation != p->plan.generation)
        class = status_set(p->st, STATUS_CONFLICT,
                           "the workspace was changed after the plan was made: plan again");
    return class;
}

static status_class change_tables(application *p)
{
    json_t *columns = NULL;
    status_class class = definition_from_json(p->document, &p->next, p->st);
    if (class != STATUS_OK)
        return class;
    p->change.from = p->now->definition;
    p->change.to = p->next;
    p->change.role = p->now->role;
    p->change.password = p->now->password;
    class = tables_apply(p->control, &p->change, &columns, p->st);
    if (class == STATUS_OK)
        class = definition_with_columns(p->next, columns, &p->complete, p->st);
    json_decref(columns);
    return class;
}

static status_class record(application *p)
{
    char *document = workspace_document_text(p->complete);
    const value mark[] = {value_text(p->plan.id)};
    const value take[] = {value_integer(p->plan.wid), value_text(document),
                          value_integer(p->plan.generation + 1), value_text(p->complete->template_key),
                          value_text(p->complete->template_version)};
    status_class class = connection_run(p->db, &take_document, take, 5, NULL, p->st);
    if (class == STATUS_OK)
        class = connection_run(p->db, &mark_applied, mark, 1, NULL, p->st);
    if (class == STATUS_OK)
        class = workspace_add_objects(p->db, p->now->definition, p->complete, p->st);
    if (class == STATUS_OK)
        class = audit_add(p->db, p->plan.wid, p->actor, "apply", p->plan.id, p->plan.changes, p->st);
    free(document);
    return class;
}

static status_class apply_locked(application *p, bool destroy)
{
    status_class class = check_plan(p, destroy);
    if (class == STATUS_OK)
        class = connection_begin(p->db, p->st);
    if (class == STATUS_OK)
        class = check_generation(p);
    if (class == STATUS_OK)
        class = workspace_load(p->control, p->plan.wid, NULL, &p->now, p->st);
    if (class == STATUS_OK)
        class = change_tables(p);
    if (class == STATUS_OK)
        class = record(p);
    if (class == STATUS_OK)
        class = connection_commit(p->db, p->st);
    connection_rollback(p->db);
    return class == STATUS_OK ? tables_drop_removed(p->control, &p->change, p->st) : class;
}

status_class plan_apply(control *c, const char *id, bool destroy, const char *actor, workspace **ret,
                        status *st)
{
    application p = {.control = c, .actor = actor, .st = st};
    arena *a = arena_create(0);
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &p.db, st);
    if (class == STATUS_OK)
        class = read_plan(p.db, id, a, &p.plan, &p.document, st);
    if (class == STATUS_OK)
        class = apply_locked(&p, destroy);
    pool_return(c->control, p.db);
    definition_release(p.complete);
    definition_release(p.next);
    workspace_free(p.now);
    json_decref(p.document);
    json_decref(p.plan.changes);
    arena_free(a);
    return class == STATUS_OK ? workspace_load(c, p.plan.wid, NULL, ret, st) : class;
}
