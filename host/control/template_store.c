/* Stored template versions. A version never changes once it is stored. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/audit.h"
#include "control/workspace.h"

static const statement add_version = {
    "store a template version",
    "INSERT INTO control.template_version (template, version, major, minor, patch, title, hash, body)"
    " VALUES ($1, $2, split_part($2, '.', 1)::int, split_part($2, '.', 2)::int, split_part($2, '.', 3)::int, "
    "$3, $4,"
    " $5::json) ON CONFLICT DO NOTHING"};
static const statement find_version = {"read a template version",
                                       "SELECT version, hash, body::text FROM control.template_version"
                                       " WHERE template = $1 AND ($2::text IS NULL OR version = $2)"
                                       " ORDER BY major DESC, minor DESC, patch DESC LIMIT 1"};
static const statement list_templates = {"list templates",
                                         "SELECT coalesce(json_agg(row_to_json(t) ORDER BY t.key), '[]') "
                                         "FROM (SELECT DISTINCT ON (template) template AS key,"
                                         " title, version, count(*) OVER (PARTITION BY template) AS "
                                         "versions, created FROM control.template_version"
                                         " ORDER BY template, major DESC, minor DESC, patch DESC) t"};
static const statement list_versions = {
    "list template versions",
    "SELECT coalesce(json_agg(row_to_json(t)), '[]') FROM (SELECT version, title, hash, created FROM"
    " control.template_version WHERE template = $1 ORDER BY major DESC, minor DESC, patch DESC) t"};

static void hash_document(const json_t *body, char out[65])
{
    unsigned char digest[32];
    char *canonical = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    crypto_generichash(digest, sizeof digest, (unsigned char *)canonical, strlen(canonical), NULL, 0);
    sodium_bin2hex(out, 65, digest, sizeof digest);
    free(canonical);
}

static status_class compare_stored(connection *c, const char *key, const char *version, const char *hash,
                                   status *st)
{
    rows *r = NULL;
    const value params[] = {value_text(key), value_text(version)};
    status_class class = connection_run(c, &find_version, params, 2, &r, st);
    if (class == STATUS_OK && (rows_count(r) == 0 || strcmp(rows_text(r, 0, 1), hash) != 0)) {
        class = status_set(st, STATUS_CONFLICT, "the template %s %s is stored already and is another one",
                           key, version);
        status_hint(st, "a version never changes: raise metadata.version");
    }
    rows_free(r);
    return class;
}

static status_class store_version(connection *c, const json_t *body, const char *actor, status *st)
{
    char hash[65];
    rows *r = NULL;
    const json_t *metadata = json_object_get(body, "metadata");
    const char *key = json_string_value(json_object_get(metadata, "key"));
    const char *version = json_string_value(json_object_get(metadata, "version"));
    const char *title = json_string_value(json_object_get(metadata, "title"));
    char *form = json_dumps(body, JSON_COMPACT);
    hash_document(body, hash);
    const value params[] = {value_text(key), value_text(version), value_text(title ? title : key),
                            value_text(hash), value_text(form)};
    status_class class = connection_run(c, &add_version, params, 5, &r, st);
    bool added = class == STATUS_OK && rows_affected(r) > 0;
    rows_free(r);
    free(form);
    if (class == STATUS_OK && !added)
        return compare_stored(c, key, version, hash, st);
    char object[160];
    snprintf(object, sizeof object, "template:%s %s", key, version);
    return class == STATUS_OK ? audit_add(c, 0, actor, "write", object, NULL, st) : class;
}

status_class template_put(control *c, json_t *body, const char *actor, template_report **report, status *st)
{
    const template_options options = {.plugins = c->plugins.config_schema ? &c->plugins : NULL};
    template_report *r = template_check(NULL, body, &options);
    status_class class = STATUS_OK;
    connection *db = NULL;
    if (r->n_problems)
        class = status_at(st, STATUS_INVALID, r->problems[0].pointer, "the template cannot be used: %s",
                          r->problems[0].text);
    if (report)
        *report = r;
    else
        template_report_free(r);
    if (class == STATUS_OK)
        class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    class = connection_begin(db, st);
    if (class == STATUS_OK)
        class = store_version(db, body, actor, st);
    if (class == STATUS_OK)
        class = connection_commit(db, st);
    connection_rollback(db);
    pool_return(c->control, db);
    return class;
}

status_class template_get(control *c, const char *key, const char *version, arena *a,
                          const char **ret_version, json_t **ret_body, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    const value params[] = {value_text(key), value_text(version)};
    class = connection_run(db, &find_version, params, 2, &r, st);
    pool_return(c->control, db);
    if (class == STATUS_OK && rows_count(r) == 0)
        class = status_set(st, STATUS_NOT_FOUND, "there is no template %s%s%s", key, version ? " " : "",
                           version ? version : "");
    if (class == STATUS_OK) {
        *ret_version = arena_string(a, rows_text(r, 0, 0));
        *ret_body = json_loads(rows_text(r, 0, 2), 0, NULL);
    }
    rows_free(r);
    return class;
}

status_class template_list(control *c, const char *key, json_t **ret, status *st)
{
    connection *db = NULL;
    rows *r = NULL;
    status_class class = pool_borrow(c->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return class;
    const value params[] = {value_text(key)};
    class = connection_run(db, key ? &list_versions : &list_templates, params, key ? 1 : 0, &r, st);
    if (class == STATUS_OK)
        *ret = json_loads(rows_text(r, 0, 0), 0, NULL);
    rows_free(r);
    pool_return(c->control, db);
    return class;
}
