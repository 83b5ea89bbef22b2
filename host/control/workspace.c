/* A workspace is made in three steps: its row (which takes the key), everything on the data plane, and the
 * row's final document. Whatever fails undoes what was done before. */
#include "control/workspace.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/name.h"
#include "base/random.h"
#include "control/audit.h"
#include "control/workspace_rows.h"
#include "control/workspace_tables.h"
#include "store/workspace_schema.h"

static const statement next_wid = {"number a workspace", "SELECT nextval('control.wid')"};
static const statement add_workspace = {
    "make a workspace",
    "INSERT INTO control.workspace (wid, id, key, title, template, version, state, generation, document,"
    " login) VALUES ($1, $2, $3, $4, $5, $6, 'creating', 0, '{}', $7) ON CONFLICT DO NOTHING"};
static const statement finish_workspace = {"finish a workspace",
                                           "UPDATE control.workspace SET state = 'live', generation = 1, "
                                           "document = $2::json, updated = now() WHERE wid = $1"};
static const statement undo_workspace = {"undo a workspace", "DELETE FROM control.workspace WHERE wid = $1"};
static const statement pause_workspace = {
    "pause a workspace",
    "UPDATE control.workspace SET paused = $2, updated = now() WHERE wid = $1 AND state = 'live'"};
static const statement begin_delete = {"begin to delete a workspace",
                                       "UPDATE control.workspace SET state = 'deleting' WHERE wid = $1 AND "
                                       "state IN ('live', 'creating', 'deleting')"};

/* ---- creating ---- */

typedef struct creation {
    control *control;
    const workspace_request *request;
    arena *arena;
    status *st;
    int32_t wid;
    char id[32], role[ROLE_NAME_SIZE], password[ROLE_PASSWORD_SIZE];
    const char *version;
    json_t *body;
    const definition *made; /* without the columns of featurestores */
} creation;

static status_class check_request(creation *n)
{
    const workspace_request *q = n->request;
    if (!q->key || !name_is_slug(q->key)) {
        status_at(n->st, STATUS_INVALID, "/key", "the workspace cannot have this key");
        return status_hint(n->st, "lower case words joined by single hyphens, at most %d characters",
                           NAME_KEY_MAX);
    }
    if (!q->template)
        return status_at(n->st, STATUS_INVALID, "/template", "the workspace needs a template");
    status_class class =
        template_get(n->control, q->template, q->version, n->arena, &n->version, &n->body, n->st);
    return class == STATUS_OK ? workspace_check_local(n->control, n->body, q->local, NULL, n->st) : class;
}

static status_class take_number(creation *n, connection *db)
{
    rows *r = NULL;
    char ulid[27];
    status_class class = connection_run(db, &next_wid, NULL, 0, &r, n->st);
    if (class == STATUS_OK)
        n->wid = (int32_t)rows_integer(r, 0, 0);
    rows_free(r);
    ulid_make(ulid);
    snprintf(n->id, sizeof n->id, "ws_%s", ulid);
    role_name(n->role, n->control->stack8, n->wid);
    role_password(n->password);
    return class;
}

static status_class make_definition(creation *n)
{
    const definition_source source = {.template_body = n->body,
                                      .local_body = n->request->local,
                                      .parameters = n->request->parameters,
                                      .wid = n->wid,
                                      .workspace = n->request->key,
                                      .workspace_id = n->id,
                                      .generation = 1};
    return definition_make(&source, &n->made, n->st);
}

static status_class add_row(creation *n, connection *db)
{
    rows *r = NULL;
    size_t len;
    const workspace_request *q = n->request;
    const uint8_t *login = secret_seal(n->control->key, n->password, strlen(n->password), n->arena, &len);
    const value params[] = {value_integer(n->wid),   value_text(n->id),
                            value_text(q->key),      value_text(q->title ? q->title : q->key),
                            value_text(q->template), value_text(n->version),
                            value_bytes(login, len)};
    status_class class = connection_run(db, &add_workspace, params, 7, &r, n->st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_at(n->st, STATUS_CONFLICT, "/key", "there is a workspace \"%s\" already", q->key);
    rows_free(r);
    return class;
}

static status_class prepare_data_plane(creation *n)
{
    connection *data = NULL;
    status_class class = pool_borrow(n->control->data, NULL, CONTROL_WAIT_MS, &data, n->st);
    if (class != STATUS_OK)
        return class;
    class = role_create(data, n->role, n->password, n->st);
    if (class == STATUS_OK)
        class = workspace_schema_create(data, n->wid, n->role, n->st);
    pool_return(n->control->data, data);
    return class;
}

static status_class make_tables(creation *n, const definition **ret)
{
    json_t *columns = NULL;
    const tables_change change = {.to = n->made, .role = n->role, .password = n->password};
    status_class class = tables_apply(n->control, &change, &columns, n->st);
    if (class == STATUS_OK)
        class = definition_with_columns(n->made, columns, ret, n->st);
    json_decref(columns);
    return class;
}

static status_class finish(creation *n, connection *db, const definition *d, const char *actor)
{
    char *document = workspace_document_text(d);
    const value params[] = {value_integer(n->wid), value_text(document)};
    status_class class = connection_begin(db, n->st);
    if (class == STATUS_OK)
        class = connection_run(db, &finish_workspace, params, 2, NULL, n->st);
    if (class == STATUS_OK)
        class = workspace_add_objects(db, NULL, d, n->st);
    if (class == STATUS_OK)
        class = audit_add(db, n->wid, actor, "write", "workspace", NULL, n->st);
    if (class == STATUS_OK)
        class = connection_commit(db, n->st);
    connection_rollback(db);
    free(document);
    return class;
}

/* Best effort: what is left behind has a number that is never used again. */
static void drop_data_plane(control *c, int32_t wid, status *st)
{
    connection *data = NULL;
    char role[ROLE_NAME_SIZE];
    role_name(role, c->stack8, wid);
    pool_forget(c->data, role);
    if (pool_borrow(c->data, NULL, CONTROL_WAIT_MS, &data, st) != STATUS_OK)
        return;
    if (workspace_schema_drop(data, wid, st) == STATUS_OK)
        role_drop(data, role, st);
    pool_return(c->data, data);
}

static void undo(creation *n, connection *db)
{
    status ignored;
    const value params[] = {value_integer(n->wid)};
    drop_data_plane(n->control, n->wid, &ignored);
    connection_run(db, &undo_workspace, params, 1, NULL, &ignored);
}

static status_class create_on(creation *n, connection *db, const char *actor)
{
    const definition *complete = NULL;
    status_class class = take_number(n, db);
    if (class == STATUS_OK)
        class = make_definition(n);
    if (class == STATUS_OK)
        class = add_row(n, db);
    if (class != STATUS_OK)
        return class;
    class = prepare_data_plane(n);
    if (class == STATUS_OK)
        class = make_tables(n, &complete);
    if (class == STATUS_OK)
        class = finish(n, db, complete, actor);
    definition_release(complete);
    if (class != STATUS_OK)
        undo(n, db);
    return class;
}

status_class workspace_create(control *c, const workspace_request *request, const char *actor,
                              workspace **ret, status *st)
{
    connection *db = NULL;
    creation n = {.control = c, .request = request, .arena = arena_create(0), .st = st};
    status_class class = check_request(&n);
    if (class == STATUS_OK)
        class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = create_on(&n, db, actor);
    pool_return(c->control, db);
    definition_release(n.made);
    json_decref(n.body);
    sodium_memzero(n.password, sizeof n.password);
    arena_free(n.arena);
    return class == STATUS_OK ? workspace_load(c, n.wid, NULL, ret, st) : class;
}

/* ---- pausing and deleting ---- */

static status_class change_row(control *c, const statement *s, const value *params, unsigned n, int32_t wid,
                               const char *actor, const char *verb, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_begin(db, st);
    if (class == STATUS_OK)
        class = connection_run(db, s, params, n, &r, st);
    if (class == STATUS_OK && rows_affected(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no such workspace");
    if (class == STATUS_OK)
        class = audit_add(db, wid, actor, verb, "workspace", NULL, st);
    if (class == STATUS_OK)
        class = connection_commit(db, st);
    connection_rollback(db);
    rows_free(r);
    pool_return(c->control, db);
    return class;
}

status_class workspace_pause(control *c, int32_t wid, bool paused, const char *actor, status *st)
{
    const value params[] = {value_integer(wid), value_boolean(paused)};
    return change_row(c, &pause_workspace, params, 2, wid, actor, paused ? "pause" : "resume", st);
}

static status_class forget(control *c, int32_t wid, status *st)
{
    connection *db = NULL;
    char script[1000];
    snprintf(
        script, sizeof script,
        "DELETE FROM control.plan WHERE wid = %1$d; DELETE FROM control.object WHERE wid = %1$d;"
        " DELETE FROM control.secret WHERE wid = %1$d; DELETE FROM control.alert_state WHERE wid = %1$d;"
        " DELETE FROM control.delivery WHERE wid = %1$d; DELETE FROM control.model_version WHERE wid = %1$d;"
        " DELETE FROM control.model_promotion WHERE wid = %1$d;"
        " DELETE FROM control.plugin_state WHERE wid = %1$d;"
        " UPDATE control.workspace SET state = 'deleted', document = '{}', login = '', updated = now()"
        " WHERE wid = %1$d",
        wid);
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = connection_script(db, "forget a workspace", script, st);
    pool_return(c->control, db);
    return class;
}

status_class workspace_delete(control *c, int32_t wid, const char *actor, status *st)
{
    const value params[] = {value_integer(wid)};
    status_class class = change_row(c, &begin_delete, params, 1, wid, actor, "delete", st);
    if (class != STATUS_OK)
        return class;
    st->class = STATUS_OK;
    drop_data_plane(c, wid, st);
    return st->class == STATUS_OK ? forget(c, wid, st) : st->class;
}
