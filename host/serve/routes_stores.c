/* The stores of a workspace: what they are (the definition) and how they are (flow_status). One handler
 * serves the three classes. */
#include <string.h>

#include "serve/auth.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/workspace_form.h"

static json_t *column_json(const store_column *c)
{
    json_t *v = json_pack("{s:s,s:s,s:b}", "name", c->name, "type", column_type_name(c->type), "required",
                          c->required);
    if (c->title)
        json_object_set_new(v, "title", json_string(c->title));
    if (c->unit)
        json_object_set_new(v, "unit", json_string(c->unit));
    return v;
}

static json_t *columns_json(const store_column *columns, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, column_json(&columns[i]));
    return list;
}

static json_t *texts_json(const text_list *texts)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < texts->n; i++)
        json_array_append_new(list, json_string(texts->items[i]));
    return list;
}

static void add_columns(json_t *to, const defined_object *o)
{
    if (o->class == CLASS_DATASTORE) {
        const defined_datastore *d = (const defined_datastore *)o;
        json_object_set_new(to, "columns", columns_json(d->columns, d->n_columns));
        json_object_set_new(to, "schema", json_incref(d->schema));
        json_object_set_new(to, "unique", texts_json(&d->unique));
        json_object_set_new(to, "entity", texts_json(&d->entity));
        json_object_set_new(to, "time", d->time ? json_string(d->time) : json_null());
    } else if (o->class == CLASS_FEATURESTORE) {
        const defined_featurestore *f = (const defined_featurestore *)o;
        json_object_set_new(to, "columns", columns_json(f->columns, f->n_columns));
        json_object_set_new(to, "unique", texts_json(&f->key));
    } else {
        const defined_inferencestore *i = (const defined_inferencestore *)o;
        json_object_set_new(to, "columns", columns_json(i->columns, i->n_columns));
        json_object_set_new(to, "schema", json_incref(i->schema));
        json_object_set_new(to, "unique", texts_json(&i->key));
    }
}

static const json_t *freshness_of(const json_t *stores, const defined_object *o)
{
    char name[96];
    size_t i;
    json_t *store;
    snprintf(name, sizeof name, "%s:%s", class_name(o->class), o->key);
    json_array_foreach(stores, i, store)
    {
        const char *word = json_string_value(json_object_get(store, "store"));
        if (word && strcmp(word, name) == 0)
            return store;
    }
    return NULL;
}

static json_t *store_json(const defined_object *o, const json_t *stores)
{
    json_t *v =
        json_pack("{s:s,s:s,s:n,s:n,s:n}", "key", o->key, "title", o->title, "rows", "newest", "bytes");
    const json_t *fresh = freshness_of(stores, o);
    if (fresh)
        json_object_update(v, (json_t *)fresh);
    json_object_del(v, "store");
    json_object_del(v, "class");
    json_object_set_new(v, "origin", json_string(o->origin == ORIGIN_LOCAL ? "local" : "template"));
    return v;
}

typedef struct store_list {
    object_class class;
    const json_t *stores; /* how they are */
    json_t *items;
} store_list;

static bool add_store(void *arg, const defined_object *o)
{
    store_list *list = arg;
    if (o->class == list->class)
        json_array_append_new(list->items, store_json(o, list->stores));
    return true;
}

static void stores_list(http_request *r)
{
    const object_class *class = r->route->data;
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    json_t *stores = workspace_form_stores(r->services, plan->wid);
    store_list list = {*class, stores, json_array()};
    definition_each(plan->definition, add_store, &list);
    flow_plan_release(plan);
    json_decref(stores);
    resource_list(r, list.items, "key");
}

static void store_show(http_request *r)
{
    const object_class *class = r->route->data;
    const char *key = http_request_param(r, "k");
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return;
    const defined_object *o = definition_object(plan->definition, *class, key);
    json_t *v = NULL;
    if (o) {
        json_t *stores = workspace_form_stores(r->services, plan->wid);
        v = store_json(o, stores);
        add_columns(v, o);
        json_object_set(v, "definition", o->body);
        json_decref(stores);
    }
    if (v)
        resource_answer(r, 200, v);
    else
        resource_missing(r, class_name(*class), key);
    flow_plan_release(plan);
}

static const object_class classes[] = {CLASS_DATASTORE, CLASS_FEATURESTORE, CLASS_INFERENCESTORE};

#define STORE_MEMBERS                                                                             \
    "\"key\":" RESOURCE_TEXT ",\"title\":" RESOURCE_TEXT ",\"rows\":" RESOURCE_INTEGER_OR_NULL    \
    ",\"newest\":" RESOURCE_TIME_OR_NULL ",\"bytes\":" RESOURCE_INTEGER_OR_NULL                   \
    ",\"age_seconds\":{\"type\":[\"number\",\"null\"]},\"waiting\":" RESOURCE_INTEGER_OR_NULL     \
    ",\"state\":" RESOURCE_TEXT ",\"building\":" RESOURCE_TEXT                                    \
    ",\"build\":{\"type\":\"object\"},\"retention\":{\"type\":\"object\"},\"origin\":{\"enum\":[" \
    "\"template\",\"local\"]}"
#define STORE_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"key\",\"title\"],\"properties\":{" STORE_MEMBERS "}}"
#define STORE_SHOWN_SCHEMA                                                                              \
    "{\"type\":\"object\",\"required\":[\"key\",\"title\",\"columns\",\"definition\"],\"properties\":"  \
    "{" STORE_MEMBERS                                                                                   \
    ",\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"name\",\"type\"]," \
    "\"properties\":{\"name\":" RESOURCE_TEXT ",\"type\":" RESOURCE_TEXT                                \
    ",\"required\":{\"type\":\"boolean\"},\"title\":" RESOURCE_TEXT ",\"unit\":" RESOURCE_TEXT          \
    "}}},\"schema\":{\"type\":[\"object\",\"boolean\"]},\"unique\":{\"type\":\"array\","                \
    "\"items\":" RESOURCE_TEXT "},\"entity\":{\"type\":\"array\",\"items\":" RESOURCE_TEXT              \
    "},\"time\":" RESOURCE_TEXT_OR_NULL ",\"definition\":{\"type\":\"object\"}}}"

#define STORE_ROUTES(section, word, number)                                                            \
    {.method = HTTP_GET,                                                                               \
     .path = "/api/v1/workspaces/{ws}/" section,                                                       \
     .name = (section),                                                                                \
     .tag = "stores",                                                                                  \
     .summary = "The " section " of a workspace with rows, newest event time and what waits",          \
     .verb = VERB_READ,                                                                                \
     .reference = word ":*",                                                                           \
     .flags = ROUTE_LIST,                                                                              \
     .where = ROUTE_ON_LANE,                                                                           \
     .response_schema = RESOURCE_LIST_SCHEMA(STORE_SCHEMA),                                            \
     .success = 200,                                                                                   \
     .data = &classes[number],                                                                         \
     .handler = stores_list},                                                                          \
    {                                                                                                  \
        .method = HTTP_GET, .path = "/api/v1/workspaces/{ws}/" section "/{k}", .name = (word),         \
        .tag = "stores", .summary = "One " word " with its columns and definition", .verb = VERB_READ, \
        .reference = word ":{k}", .where = ROUTE_ON_LANE, .response_schema = STORE_SHOWN_SCHEMA,       \
        .success = 200, .data = &classes[number], .handler = store_show                                \
    }

static const route table[] = {
    STORE_ROUTES("datastores", "datastore", 0),
    STORE_ROUTES("featurestores", "featurestore", 1),
    STORE_ROUTES("inferencestores", "inferencestore", 2),
};

void routes_stores(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
