/* Plugins: what the host has found, which version of each serves whom, and loading, unloading and rolling
 * back. */
#include <stdio.h>
#include <string.h>

#include "serve/instance_form.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

enum { PLUGIN_BODY_BYTES = 64 << 20 };

/* ---- documents ---- */

static json_t *texts_of(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(texts[i]));
    return list;
}

static json_t *version_json(const plugin_version *v)
{
    return v->hash ? json_pack("{s:s,s:s,s:o}", "hash", v->hash, "version", v->version, "since",
                               resource_time_json(v->since_us))
                   : json_null();
}

static json_t *refused_json(const plugin_line *line)
{
    if (!line->refused_why)
        return json_null();
    json_t *v = json_pack("{s:s,s:s,s:o,s:s}", "hash", line->refused.hash ? line->refused.hash : "",
                          "version", line->refused.version ? line->refused.version : "", "since",
                          resource_time_json(line->refused.since_us), "why", line->refused_why);
    return v;
}

static json_t *held_json(const plugin_line *line)
{
    json_t *list = json_array();
    for (size_t i = 0; i < line->n_holdbacks; i++) {
        const plugin_holdback *h = &line->holdbacks[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "workspace", h->workspace, "instance",
                                              h->instance, "hash", h->hash, "why", h->why));
    }
    return list;
}

static json_t *line_json(const plugin_line *line)
{
    const plugin_entry *e = line->entry;
    const char *state = line->unloaded ? "unloaded" : e ? "ok" : "lost";
    return json_pack(
        "{s:s,s:s?,s:s?,s:s?,s:s,s:s?,s:b,s:s?,s:o,s:s?,s:b,s:o,s:o,s:o}", "id", line->id, "kind",
        e ? plugin_kind_name(e->kind) : NULL, "version", line->current.version, "title", e ? e->title : NULL,
        "state", state, "file", e ? e->file : NULL, "file_gone", line->file_gone, "hash", line->current.hash,
        "since", resource_time_json(line->current.since_us), "error",
        e ? NULL : "its file and the copy of it are gone", "pinned", line->pinned, "previous",
        version_json(&line->previous), "refused", refused_json(line), "held_back", held_json(line));
}

static void add_line(const plugin_line *line, void *arg)
{
    json_array_append_new(arg, line_json(line));
}

/* Files that cannot be used stand in the list under their own name. */
static void add_broken(const plugin_entry *e, void *arg)
{
    if (e->broken)
        json_array_append_new(arg, json_pack("{s:s,s:n,s:n,s:n,s:s,s:s,s:s?,s:s}", "id", e->file, "kind",
                                             "version", "title", "state", "broken", "file", e->file, "hash",
                                             e->hash, "error", e->broken));
}

typedef struct summing {
    const char *id;
    instance_sum sum;
} summing;

static void add_to_sum(const instance_state *s, void *arg)
{
    summing *one = arg;
    if (strcmp(s->plugin_id, one->id) == 0)
        instance_sum_add(&one->sum, s);
}

static void plugins_list(http_request *r)
{
    json_t *items = json_array(), *item;
    size_t i;
    catalog_lines(r->services->catalog, NULL, add_line, items);
    json_array_foreach(items, i, item)
    {
        summing one = {.id = json_string_value(json_object_get(item, "id"))};
        plugin_states(r->services->instances, add_to_sum, &one);
        json_object_set_new(item, "use", instance_sum_json(&one.sum));
    }
    catalog_list(r->services->catalog, add_broken, items);
    resource_list(r, items, "id");
}

/* ---- one plugin ---- */

typedef struct runners {
    const char *id, *current;
    json_t *list;
} runners;

static void add_runner(const instance_state *s, void *arg)
{
    runners *all = arg;
    if (strcmp(s->plugin_id, all->id) == 0)
        json_array_append_new(all->list, instance_json(s, all->current));
}

static void show_line(const plugin_line *line, void *arg)
{
    json_t **out = arg;
    const plugin_entry *e = line->entry;
    *out = line_json(line);
    json_object_set_new(*out, "licence", e ? json_string(e->licence) : json_null());
    json_object_set_new(*out, "interfaces", texts_of(e ? e->interfaces : NULL, e ? e->n_interfaces : 0));
    json_object_set_new(*out, "config_schema",
                        e && e->config_schema ? json_deep_copy(e->config_schema) : json_null());
}

/* NULL + answered: there is no such plugin. */
static json_t *plugin_document(http_request *r, const char *id)
{
    status st;
    json_t *v = NULL;
    if (!catalog_lines(r->services->catalog, id, show_line, &v)) {
        catalog_find(r->services->catalog, id, &st);
        st.class = STATUS_NOT_FOUND;
        problem_answer(r, &st);
        return NULL;
    }
    const char *hash = json_string_value(json_object_get(v, "hash"));
    runners all = {.id = id, .current = hash ? hash : "", .list = json_array()};
    plugin_states(r->services->instances, add_runner, &all);
    json_object_set_new(v, "instances", all.list);
    return v;
}

static void plugin_show(http_request *r)
{
    json_t *v = plugin_document(r, http_request_param(r, "id"));
    if (v)
        resource_answer(r, 200, v);
}

/* ---- changes ---- */

static void answer_change(http_request *r, status_class class, const reload_result *result, const status *st)
{
    if (class != STATUS_OK) {
        problem_answer(r, st);
        return;
    }
    json_t *v = plugin_document(r, result->id);
    if (!v)
        return;
    json_object_set_new(v, "switched", json_integer(result->switched));
    json_object_set_new(v, "refusals", json_integer(result->refused));
    json_object_set_new(v, "pause_longest_us", json_integer(result->pause_longest_us));
    resource_answer(r, 200, v);
}

typedef status_class (*change)(reload *r, const char *id, const char *actor, reload_result *result_out,
                               status *st);

static void plugin_change(http_request *r, change function)
{
    status st;
    reload_result result;
    status_class class =
        function(r->services->reload, http_request_param(r, "id"), resource_actor(r), &result, &st);
    answer_change(r, class, &result, &st);
}

static void plugin_load(http_request *r)
{
    plugin_change(r, reload_load);
}

static void plugin_unload(http_request *r)
{
    plugin_change(r, reload_unload);
}

static void plugin_roll_back(http_request *r)
{
    plugin_change(r, reload_roll_back);
}

/* Those in quarantine and those that are held back get another chance at once. */
static void plugin_retry(http_request *r)
{
    const char *id = http_request_param(r, "id");
    unsigned n = flow_retry_plugin(r->services->flow, id);
    json_t *v = plugin_document(r, id);
    if (!v)
        return;
    json_object_set_new(v, "retried", json_integer(n));
    resource_answer(r, 200, v);
}

static void plugins_load(http_request *r)
{
    status st;
    reload_result result;
    char name[128];
    const char *given = http_request_query(r, "name");
    snprintf(name, sizeof name, "upload:%.100s", given ? given : "plugin.so");
    status_class class =
        reload_load_bytes(r->services->reload, name, r->body, r->body_len, resource_actor(r), &result, &st);
    answer_change(r, class, &result, &st);
}

/* ---- the table ---- */

#define PLUGIN_VERSION                                                                                      \
    "{\"type\":[\"object\",\"null\"],\"properties\":{\"hash\":" RESOURCE_TEXT ",\"version\":" RESOURCE_TEXT \
    ",\"since\":" RESOURCE_TIME_OR_NULL
#define PLUGIN_MEMBERS                                                                                 \
    "\"id\":" RESOURCE_TEXT ",\"kind\":" RESOURCE_TEXT_OR_NULL ",\"version\":" RESOURCE_TEXT_OR_NULL   \
    ",\"title\":" RESOURCE_TEXT_OR_NULL                                                                \
    ",\"state\":{\"enum\":[\"ok\",\"unloaded\",\"lost\",\"broken\"]},\"file\":" RESOURCE_TEXT_OR_NULL  \
    ",\"file_gone\":{\"type\":\"boolean\"},\"hash\":" RESOURCE_TEXT_OR_NULL                            \
    ",\"since\":" RESOURCE_TIME_OR_NULL ",\"error\":" RESOURCE_TEXT_OR_NULL                            \
    ",\"pinned\":{\"type\":\"boolean\"},\"previous\":" PLUGIN_VERSION "}},\"refused\":" PLUGIN_VERSION \
    ",\"why\":" RESOURCE_TEXT "}},\"held_back\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"
#define PLUGIN_DOCUMENT                                                                                     \
    "{\"type\":\"object\",\"required\":[\"id\",\"state\",\"config_schema\",\"instances\"],\"properties\":"  \
    "{" PLUGIN_MEMBERS ",\"licence\":" RESOURCE_TEXT_OR_NULL                                                \
    ",\"interfaces\":{\"type\":\"array\",\"items\":" RESOURCE_TEXT "},\"config_schema\":{},\"instances\":{" \
    "\"type\":\"array\",\"items\":" INSTANCE_SCHEMA "},\"retried\":" RESOURCE_INTEGER                       \
    ",\"switched\":" RESOURCE_INTEGER ",\"refusals\":" RESOURCE_INTEGER                                     \
    ",\"pause_longest_us\":" RESOURCE_INTEGER "}}"

static const route_parameter load_parameters[] = {
    {.name = "name", .schema = RESOURCE_TEXT, .summary = "What the file is called, for the listing"}};

#define CHANGE_OF_A_PLUGIN(path_, name_, handler_, summary_)                                              \
    {                                                                                                     \
        .method = HTTP_POST, .path = (path_), .name = (name_), .tag = "system", .summary = (summary_),    \
        .verb = VERB_ADMIN, .reference = "platform:plugins", .flags = ROUTE_IDEMPOTENT_OPTIONAL,          \
        .where = ROUTE_ON_LANE, .response_schema = PLUGIN_DOCUMENT, .success = 200, .handler = (handler_) \
    }

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/plugins",
     .name = "plugins",
     .tag = "system",
     .summary = "The plugins that the host has found and the files that it cannot use",
     .verb = VERB_READ,
     .reference = "platform:plugins",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"id\",\"state\",\"file\"],\"properties\":{" PLUGIN_MEMBERS
         ",\"use\":" INSTANCE_SUM_SCHEMA "}}"),
     .success = 200,
     .handler = plugins_list},
    {.method = HTTP_POST,
     .path = "/api/v1/plugins:load",
     .name = "plugins_load",
     .tag = "system",
     .summary = "Load a plugin, or a new version of one, from the bytes of its file",
     .description = "It is tried with every instance, one after the other; one that refuses it keeps the"
                    " version it has (held_back). 409: all of them refused it.",
     .verb = VERB_ADMIN,
     .reference = "platform:plugins",
     .flags = ROUTE_IDEMPOTENT_OPTIONAL,
     .where = ROUTE_ON_LANE,
     .body_limit = PLUGIN_BODY_BYTES,
     .request_types = "application/octet-stream",
     .request_schema = "{\"type\":\"string\",\"format\":\"binary\"}",
     .response_schema = PLUGIN_DOCUMENT,
     .success = 200,
     .parameters = load_parameters,
     .n_parameters = 1,
     .handler = plugins_load},
    {.method = HTTP_GET,
     .path = "/api/v1/plugins/{id}",
     .name = "plugin",
     .tag = "system",
     .summary = "One plugin: its versions, who runs which, and the schema of its configuration",
     .verb = VERB_READ,
     .reference = "platform:plugins",
     .where = ROUTE_ON_LANE,
     .response_schema = PLUGIN_DOCUMENT,
     .success = 200,
     .handler = plugin_show},
    CHANGE_OF_A_PLUGIN("/api/v1/plugins/{id}:load", "plugin_load", plugin_load,
                       "Load the newest file of a plugin, also after an unload or a rollback"),
    CHANGE_OF_A_PLUGIN(
        "/api/v1/plugins/{id}:unload", "plugin_unload", plugin_unload,
        "Stop a plugin's instances until it is loaded again; data, cursors and artifacts stay"),
    CHANGE_OF_A_PLUGIN("/api/v1/plugins/{id}:rollback", "plugin_rollback", plugin_roll_back,
                       "Go back to the version that served before"),
    CHANGE_OF_A_PLUGIN("/api/v1/plugins/{id}:retry", "plugin_retry", plugin_retry,
                       "Give the instances of a plugin that are in quarantine another chance at once"),
};

void routes_plugins(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
