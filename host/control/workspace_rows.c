/* Reading workspaces back, and the append-only rows of their objects. */
#include "control/workspace_rows.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/hook_token.h"
#include "control/plugin_state.h"

#define WORKSPACE_COLUMNS \
    "wid, id, key, title, template, version, state, generation, created, paused, document::text, login"

static const statement load_one = {"read a workspace",
                                   "SELECT " WORKSPACE_COLUMNS " FROM control.workspace WHERE state = 'live'"
                                   " AND (wid = $1::int OR ($1::int = 0 AND (key = $2 OR id = $2)))"};
static const statement load_all = {"read all workspaces",
                                   "SELECT " WORKSPACE_COLUMNS
                                   " FROM control.workspace WHERE state = 'live' ORDER BY wid"};
static const statement list_all = {
    "list workspaces",
    "SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.key), '[]') FROM (SELECT wid, id, key, title, "
    "template, version,"
    " state, paused, generation, created FROM control.workspace WHERE state <> 'deleted') t"};
static const statement add_object = {
    "record an object", "INSERT INTO control.object (wid, class, key, generation, origin, hash, body)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7::json)"};
static const statement document_of = {
    "read a workspace's document",
    "SELECT generation, document::text FROM control.workspace WHERE wid = $1 AND state = 'live'"};
static const statement lock_document = {
    "lock a workspace",
    "SELECT generation, document::text FROM control.workspace WHERE wid = $1 AND state = 'live' FOR UPDATE"};

char *workspace_document_text(const definition *d)
{
    json_t *document = definition_to_json(d);
    char *form = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return form;
}

/* ---- objects ---- */

typedef struct recorder {
    connection *db;
    const definition *other, *to;
    status *st;
} recorder;

static status_class record(recorder *r, const defined_object *o, bool gone)
{
    char *body = gone ? NULL : json_dumps(o->body, JSON_COMPACT);
    const value params[] = {value_integer(r->to->wid),
                            value_text(class_name(o->class)),
                            value_text(o->key),
                            value_integer(r->to->generation),
                            value_text(o->origin == ORIGIN_LOCAL ? "local" : "template"),
                            value_text(gone ? NULL : o->hash),
                            value_text(body)};
    status_class class = connection_run(r->db, &add_object, params, 7, NULL, r->st);
    free(body);
    return class;
}

static bool record_new(void *arg, const defined_object *o)
{
    recorder *r = arg;
    const defined_object *was = r->other ? definition_object(r->other, o->class, o->key) : NULL;
    if (was && strcmp(was->hash, o->hash) == 0 && was->origin == o->origin)
        return true;
    return record(r, o, false) == STATUS_OK;
}

static bool record_gone(void *arg, const defined_object *o)
{
    recorder *r = arg;
    char instance[128];
    if (definition_object(r->to, o->class, o->key))
        return true;
    snprintf(instance, sizeof instance, "%s:%s", class_name(o->class), o->key);
    const plugin_state_owner owner = {r->to->wid, instance};
    if (record(r, o, true) != STATUS_OK || plugin_state_forget(r->db, &owner, r->st) != STATUS_OK)
        return false;
    return o->class != CLASS_CONNECTOR || hook_token_forget(r->db, r->to->wid, o->key, r->st) == STATUS_OK;
}

status_class workspace_add_objects(connection *db, const definition *from, const definition *to, status *st)
{
    recorder r = {db, from, to, st};
    st->class = STATUS_OK;
    definition_each(to, record_new, &r);
    if (from && st->class == STATUS_OK)
        definition_each(from, record_gone, &r);
    return st->class;
}

status_class workspace_check_local(control *c, json_t *body, json_t *local, template_report **report,
                                   status *st)
{
    if (!local || json_is_null(local))
        return STATUS_OK;
    const template_options options = {.plugins = c->plugins.config_schema ? &c->plugins : NULL, .base = body};
    template_report *r = template_check(NULL, local, &options);
    status_class class = STATUS_OK;
    if (r->n_problems)
        class = status_at(st, STATUS_INVALID, r->problems[0].pointer, "the local layer cannot be used: %s",
                          r->problems[0].text);
    if (report)
        *report = r;
    else
        template_report_free(r);
    return class;
}

status_class workspace_document(connection *db, int32_t wid, bool lock, int64_t *ret_generation, json_t **ret,
                                status *st)
{
    rows *r = NULL;
    const value params[] = {value_integer(wid)};
    status_class class = connection_run(db, lock ? &lock_document : &document_of, params, 1, &r, st);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no such workspace");
    if (class == STATUS_OK) {
        *ret_generation = rows_integer(r, 0, 0);
        *ret = json_loads(rows_text(r, 0, 1), 0, NULL);
    }
    rows_free(r);
    return class;
}

/* ---- loading ---- */

static char *copy(const rows *r, uint32_t row, uint32_t column)
{
    return memory_string(rows_text(r, row, column));
}

static workspace *head_of(const rows *r, uint32_t row, const char *stack8)
{
    char role[ROLE_NAME_SIZE];
    workspace *w = memory_zero(1, sizeof *w);
    w->wid = (int32_t)rows_integer(r, row, 0);
    w->id = copy(r, row, 1);
    w->key = copy(r, row, 2);
    w->title = copy(r, row, 3);
    w->template = copy(r, row, 4);
    w->version = copy(r, row, 5);
    w->state = copy(r, row, 6);
    w->generation = rows_integer(r, row, 7);
    w->created_us = rows_time_us(r, row, 8);
    w->paused = rows_boolean(r, row, 9);
    role_name(role, stack8, w->wid);
    w->role = memory_string(role);
    return w;
}

void workspace_free(workspace *w)
{
    if (!w)
        return;
    if (w->password)
        sodium_memzero(w->password, strlen(w->password));
    definition_release(w->definition);
    free((char *)w->id);
    free((char *)w->key);
    free((char *)w->title);
    free((char *)w->template);
    free((char *)w->version);
    free((char *)w->state);
    free((char *)w->role);
    free(w->password);
    free(w);
}

static status_class open_login(control *c, const rows *r, uint32_t row, workspace *w, status *st)
{
    size_t len;
    text password = {0};
    arena *a = arena_create(0);
    const uint8_t *blob = rows_bytes(r, row, 11, a, &len);
    status_class class = secret_open(c->key, blob, len, &password, st);
    if (class == STATUS_OK)
        w->password = memory_string(password.data);
    secret_wipe(&password);
    arena_free(a);
    return class;
}

static status_class read_row(control *c, const rows *r, uint32_t row, workspace **ret, status *st)
{
    workspace *w = head_of(r, row, c->stack8);
    *ret = w;
    json_t *document = json_loads(rows_text(r, row, 10), 0, NULL);
    status_class class = definition_from_json(document, &w->definition, st);
    json_decref(document);
    return class == STATUS_OK ? open_login(c, r, row, w, st) : class;
}

status_class workspace_load(control *c, int32_t wid, const char *name, workspace **ret, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    workspace *w = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    const value params[] = {value_integer(wid), value_text(name)};
    class = connection_run(db, &load_one, params, 2, &r, st);
    pool_return(c->control, db);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no workspace \"%.60s\"", name ? name : "");
    if (class == STATUS_OK)
        class = read_row(c, r, 0, &w, st);
    rows_free(r);
    if (class != STATUS_OK) {
        workspace_free(w);
        return class;
    }
    *ret = w;
    return STATUS_OK;
}

status_class workspace_load_all(control *c, void (*visit)(void *arg, workspace *w, const status *problem),
                                void *arg, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(db, &load_all, NULL, 0, &r, st);
    pool_return(c->control, db);
    for (uint32_t i = 0; class == STATUS_OK && i < rows_count(r); i++) {
        status problem;
        workspace *w = NULL;
        bool fine = read_row(c, r, i, &w, &problem) == STATUS_OK;
        visit(arg, w, fine ? NULL : &problem);
        workspace_free(w);
    }
    rows_free(r);
    return class;
}

status_class workspace_list(control *c, json_t **ret, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_run(db, &list_all, NULL, 0, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    pool_return(c->control, db);
    return class;
}
