/* The version is stored first, which changes nothing that runs; then each workspace is planned again under
 * the stored version and that plan applied. A workspace whose generation has moved since stops it. */
#include "control/publication.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/utc.h"
#include "control/workspace_rows.h"

static const statement forget_publications = {
    "forget old publications", "DELETE FROM control.publication WHERE expires < now() - interval '1 day'"};
static const statement add_publication = {
    "store a publication", "INSERT INTO control.publication (id, body, workspaces, changes, expires)"
                           " VALUES ($1, $2::json, $3::json, $4::json, $5)"};
static const statement find_publication = {
    "read a publication", "SELECT body::text, workspaces::text, changes::text, expires, applied IS NOT NULL"
                          " FROM control.publication WHERE id = $1"};
static const statement mark_publication = {
    "mark a publication as applied",
    "UPDATE control.publication SET applied = now() WHERE id = $1 AND applied IS NULL"};

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void add_change(json_t *changes, const char *op, const char *object, const char *detail,
                       bool destructive)
{
    json_array_append_new(changes, json_pack("{s:s,s:s,s:s,s:b}", "op", op, "object", object, "detail",
                                             detail ? detail : "", "destructive", destructive));
}

/* ---- planning ---- */

typedef struct drafting {
    control *control;
    const publication_request *request;
    arena *arena;
    const char *key, *version;
    json_t *changes, *workspaces;
    status *st;
} drafting;

static status_class check_body(drafting *d, template_report **report)
{
    const template_options options = {.plugins =
                                          d->control->plugins.config_schema ? &d->control->plugins : NULL};
    template_report *r = template_check(NULL, d->request->body, &options);
    status_class class = STATUS_OK;
    if (r->n_problems)
        class = status_at(d->st, STATUS_INVALID, r->problems[0].pointer, "the template cannot be used: %s",
                          r->problems[0].text);
    if (report)
        *report = r;
    else
        template_report_free(r);
    const json_t *metadata = json_object_get(d->request->body, "metadata");
    d->key = member(metadata, "key");
    d->version = member(metadata, "version");
    return class;
}

static status_class compare_stored(drafting *d)
{
    const char *version;
    json_t *stored = NULL;
    status_class class = template_get(d->control, d->key, d->version, d->arena, &version, &stored, d->st);
    if (class == STATUS_NOT_FOUND) {
        add_change(d->changes, "+", arena_printf(d->arena, "template:%s", d->key),
                   arena_printf(d->arena, "version %s", d->version), false);
        return STATUS_OK;
    }
    if (class == STATUS_OK && !json_equal(stored, d->request->body)) {
        class = status_at(d->st, STATUS_CONFLICT, "/metadata/version",
                          "the template %s %s is stored already and is another one", d->key, d->version);
        status_hint(d->st, "a version never changes: raise metadata.version");
    }
    json_decref(stored);
    return class;
}

static void add_evolution(drafting *d, const workspace *w, const evolution *e)
{
    static const char *const ops[] = {"+", "~", "-", "!"};
    for (uint32_t i = 0; i < e->n_changes; i++) {
        const plan_change *x = &e->changes[i];
        const char *object = arena_printf(d->arena, "%s/%s:%s", w->key, class_name(x->class), x->key);
        add_change(d->changes, ops[x->action], object, x->reason, x->destructive);
    }
    json_array_append_new(
        d->workspaces, json_pack("{s:i,s:I}", "wid", (int)w->wid, "generation", (json_int_t)w->generation));
}

static json_t *unless_null(json_t *v)
{
    return json_is_null(v) ? NULL : v;
}

static status_class compare_workspace(drafting *d, const workspace *w)
{
    const definition *next = NULL;
    json_t *document = definition_to_json(w->definition),
           *local = unless_null(json_object_get(document, "local"));
    const definition_source source = {.template_body = d->request->body,
                                      .local_body = local,
                                      .parameters = unless_null(json_object_get(document, "parameters")),
                                      .wid = w->wid,
                                      .workspace = w->key,
                                      .workspace_id = w->id,
                                      .generation = w->generation + 1};
    status_class class = workspace_check_local(d->control, d->request->body, local, NULL, d->st);
    if (class == STATUS_OK)
        class = definition_make(&source, &next, d->st);
    if (class == STATUS_OK)
        add_evolution(d, w, evolution_plan(w->definition, next, d->arena));
    definition_release(next);
    json_decref(document);
    return class == STATUS_OK ? class : status_wrap(d->st, "workspace %s", w->key);
}

static status_class add_workspace(drafting *d, int32_t wid, const char *name)
{
    workspace *w = NULL;
    status_class class = workspace_load(d->control, wid, name, &w, d->st);
    if (class == STATUS_OK && strcmp(w->template, d->key) != 0)
        class = status_set(d->st, STATUS_INVALID, "workspace %s is made from the template %s, not %s", w->key,
                           w->template, d->key);
    if (class == STATUS_OK)
        class = compare_workspace(d, w);
    workspace_free(w);
    return class;
}

static status_class add_all(drafting *d)
{
    json_t *list = NULL, *w;
    size_t i;
    status_class class = workspace_list(d->control, &list, d->st);
    if (class != STATUS_OK)
        return class;
    json_array_foreach(list, i, w)
    {
        const char *template = member(w, "template"), *state = member(w, "state");
        bool wanted = template && state && strcmp(template, d->key) == 0 && strcmp(state, "live") == 0;
        if (wanted && class == STATUS_OK)
            class = add_workspace(d, (int32_t)json_integer_value(json_object_get(w, "wid")), NULL);
    }
    json_decref(list);
    return class;
}

static status_class store_draft(drafting *d, publication *ret)
{
    char ulid[27];
    connection *db = NULL;
    ulid_make(ulid);
    *ret = (publication){.id = arena_printf(d->arena, PUBLICATION_ID_PREFIX "%s", ulid),
                         .expires_us = clock_wall_us() + PLAN_LIFE_US};
    char *body = json_dumps(d->request->body, JSON_COMPACT),
         *workspaces = json_dumps(d->workspaces, JSON_COMPACT),
         *changes = json_dumps(d->changes, JSON_COMPACT);
    const value params[] = {value_text(ret->id), value_text(body), value_text(workspaces),
                            value_text(changes), value_time_us(ret->expires_us)};
    status_class class = pool_borrow(d->control->control, NULL, CONTROL_WAIT_MS, &db, d->st);
    if (class == STATUS_OK)
        class = connection_run(db, &forget_publications, NULL, 0, NULL, d->st);
    if (class == STATUS_OK)
        class = connection_run(db, &add_publication, params, 5, NULL, d->st);
    pool_return(d->control->control, db);
    free(body);
    free(workspaces);
    free(changes);
    if (class == STATUS_OK)
        ret->changes = json_incref(d->changes);
    return class;
}

status_class publication_plan(control *c, const publication_request *request, arena *a, publication *ret,
                              template_report **report, status *st)
{
    drafting d = {.control = c,
                  .request = request,
                  .arena = a,
                  .changes = json_array(),
                  .workspaces = json_array(),
                  .st = st};
    status_class class = check_body(&d, report);
    if (class == STATUS_OK)
        class = compare_stored(&d);
    if (class == STATUS_OK && request->workspace)
        class = add_workspace(&d, 0, request->workspace);
    else if (class == STATUS_OK && request->all)
        class = add_all(&d);
    if (class == STATUS_OK)
        class = store_draft(&d, ret);
    json_decref(d.changes);
    json_decref(d.workspaces);
    return class;
}

/* ---- loading and applying ---- */

typedef struct stored_draft {
    publication head;
    json_t *body, *workspaces;
} stored_draft;

static status_class read_draft(control *c, const char *id, arena *a, stored_draft *ret, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(db, &find_publication, params, 1, &r, st);
    pool_return(c->control, db);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no plan \"%.60s\"", id);
    if (class == STATUS_OK)
        *ret = (stored_draft){.head = {.id = arena_string(a, id),
                                       .changes = json_loads(rows_text(r, 0, 2), 0, NULL),
                                       .expires_us = rows_time_us(r, 0, 3),
                                       .applied = rows_boolean(r, 0, 4)},
                              .body = json_loads(rows_text(r, 0, 0), 0, NULL),
                              .workspaces = json_loads(rows_text(r, 0, 1), 0, NULL)};
    rows_free(r);
    return class;
}

status_class publication_load(control *c, const char *id, arena *a, publication *ret, status *st)
{
    stored_draft draft = {0};
    status_class class = read_draft(c, id, a, &draft, st);
    if (class == STATUS_OK)
        *ret = draft.head;
    json_decref(draft.body);
    json_decref(draft.workspaces);
    return class;
}

static status_class check_draft(const stored_draft *draft, bool destroy, status *st)
{
    size_t i;
    json_t *change;
    if (draft->head.applied)
        return status_set(st, STATUS_CONFLICT, "the plan was applied already");
    if (draft->head.expires_us < clock_wall_us())
        return status_set(st, STATUS_CONFLICT, "the plan is older than an hour: plan again");
    json_array_foreach(draft->head.changes, i, change)
    {
        const char *object = member(change, "object");
        if (strcmp(member(change, "op"), "!") == 0)
            return status_set(st, STATUS_INVALID, "the plan holds a refused change: %s: %s", object,
                              member(change, "detail"));
        if (json_is_true(json_object_get(change, "destructive")) && !destroy)
            return status_set(st, STATUS_INVALID, "the plan destroys data of %s: that must be confirmed",
                              object);
    }
    return STATUS_OK;
}

static status_class upgrade(control *c, const json_t *target, const char *version, bool destroy,
                            const char *actor, arena *a, status *st)
{
    stored_plan plan = {0};
    workspace *done = NULL;
    const plan_request request = {.version = version};
    int32_t wid = (int32_t)json_integer_value(json_object_get(target, "wid"));
    status_class class = workspace_plan(c, wid, &request, a, &plan, NULL, st);
    if (class != STATUS_OK)
        return class;
    if (plan.generation != json_integer_value(json_object_get(target, "generation")))
        class =
            status_set(st, STATUS_CONFLICT, "a workspace was changed after the plan was made: plan again");
    if (class == STATUS_OK)
        class = plan_apply(c, plan.id, destroy, actor, &done, st);
    workspace_free(done);
    json_decref(plan.changes);
    return class;
}

/* The draft is spent by whoever marks it, so two applies never do the same work. */
static status_class spend(control *c, const char *id, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    const value params[] = {value_text(id)};
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = connection_run(db, &mark_publication, params, 1, &r, st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_set(st, STATUS_CONFLICT, "the plan was applied already");
    rows_free(r);
    pool_return(c->control, db);
    return class;
}

status_class publication_apply(control *c, const char *id, bool destroy, const char *actor, arena *a,
                               int32_t **ret_wids, uint32_t *ret_n, status *st)
{
    stored_draft draft = {0};
    *ret_n = 0;
    status_class class = read_draft(c, id, a, &draft, st);
    if (class != STATUS_OK)
        return class;
    const char *version = member(json_object_get(draft.body, "metadata"), "version");
    size_t n = json_array_size(draft.workspaces);
    *ret_wids = arena_zero(a, n, sizeof **ret_wids);
    class = check_draft(&draft, destroy, st);
    if (class == STATUS_OK)
        class = spend(c, id, st);
    if (class == STATUS_OK)
        class = template_put(c, draft.body, actor, NULL, st);
    for (size_t i = 0; i < n && class == STATUS_OK; i++) {
        const json_t *target = json_array_get(draft.workspaces, i);
        class = upgrade(c, target, version, destroy, actor, a, st);
        if (class == STATUS_OK)
            (*ret_wids)[(*ret_n)++] = (int32_t)json_integer_value(json_object_get(target, "wid"));
    }
    json_decref(draft.body);
    json_decref(draft.workspaces);
    json_decref(draft.head.changes);
    return class;
}
