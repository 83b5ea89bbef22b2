/* The flow's words become the API's here, in one place: sources are connectors, a store is named "class:key",
 * what waits for a datastore is rows in the journal and for a computed store dirty buckets. */
#include "serve/workspace_form.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/accounts.h"
#include "serve/alert_form.h"
#include "serve/resource.h"

const char *workspace_form_state(const char *state, bool paused)
{
    if (strcmp(state, "live") != 0)
        return state;
    return paused ? "paused" : "active";
}

json_t *workspace_form(const workspace *w)
{
    json_t *v = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "key", w->key, "id", w->id, "title", w->title,
                          "template", w->template, "version", w->version, "state",
                          workspace_form_state(w->state, w->paused), "generation", (json_int_t)w->generation,
                          "created", resource_time_json(w->created_us));
    if (w->definition)
        json_object_set(v, "parameters", w->definition->parameters);
    return v;
}

/* ---- status: stores ---- */

static json_t *store_of(const json_t *stores, const char *name)
{
    size_t i;
    json_t *store;
    json_array_foreach(stores, i, store)
    {
        const char *known = json_string_value(json_object_get(store, "store"));
        if (known && strcmp(known, name) == 0)
            return store;
    }
    return NULL;
}

static void name_stores(json_t *stores)
{
    size_t i;
    json_t *store;
    json_array_foreach(stores, i, store)
    {
        const char *class = json_string_value(json_object_get(store, "class")),
                   *key = json_string_value(json_object_get(store, "key"));
        const json_t *backlog = json_object_get(store, "backlog_rows");
        if (class && key && !json_object_get(store, "store"))
            json_object_set_new(store, "store", json_pack("s+++", class, ":", key, ""));
        if (!json_object_get(store, "waiting"))
            json_object_set_new(store, "waiting", json_integer(json_integer_value(backlog)));
        if (!json_object_get(store, "state"))
            json_object_set_new(store, "state",
                                json_string(json_object_get(store, "problem") ? "failing" : "ok"));
    }
}

static void add_figures(json_t *stores, const rows *figures)
{
    for (uint32_t i = 0; i < rows_count(figures); i++) {
        json_t *store = store_of(stores, rows_text(figures, i, 0));
        if (!store)
            continue;
        json_object_set_new(store, "rows", json_integer(rows_integer(figures, i, 1)));
        json_object_set_new(store, "bytes", json_integer(rows_integer(figures, i, 2)));
    }
}

static void add_marks(json_t *stores, const rows *marks)
{
    for (uint32_t i = 0; i < rows_count(marks); i++) {
        json_t *store = store_of(stores, rows_text(marks, i, 0));
        if (store)
            json_object_set_new(store, "waiting", json_integer(rows_integer(marks, i, 1)));
    }
}

static void measure_stores(services *s, int32_t wid, json_t *stores)
{
    connection *c = NULL;
    rows *figures = NULL, *marks = NULL;
    status st;
    if (!s->control || pool_borrow(s->control->data, NULL, CONTROL_WAIT_MS, &c, &st) != STATUS_OK)
        return; /* a start without PostgreSQL */
    if (accounts_stores(c, wid, &figures, &st) == STATUS_OK)
        add_figures(stores, figures);
    if (accounts_marks(c, wid, &marks, &st) == STATUS_OK)
        add_marks(stores, marks);
    rows_free(figures);
    rows_free(marks);
    pool_return(s->control->data, c);
}

/* ---- status: connectors, alerts ---- */

#define CAUGHT_UP_S 120.0 /* the newest row is about the present */
#define SILENT_S 10.0     /* a source that gives nothing more has given what there is */

const char *connector_form_state(const char *source_state, double newest_age_s, double last_rows_age_s)
{
    if (strcmp(source_state, "ok") != 0)
        return strcmp(source_state, "ended") == 0 ? "live" : source_state;
    return newest_age_s > CAUGHT_UP_S && last_rows_age_s < SILENT_S ? "backfilling" : "live";
}

/* Age of the newest row in the stores that the connector feeds; 0 when none has rows with a time. */
static double newest_age(const definition *d, const char *connector, const json_t *stores)
{
    double least = 0;
    const defined_connector *c = definition_connector(d, connector);
    for (uint32_t i = 0; c && i < c->n_into; i++) {
        char name[96];
        snprintf(name, sizeof name, "%s:%s", class_name(c->into[i].store.class), c->into[i].store.key);
        const json_t *age = json_object_get(store_of(stores, name), "age_seconds");
        if (json_is_number(age) && (least == 0 || json_number_value(age) < least))
            least = json_number_value(age);
    }
    return least;
}

static void shape_connectors(json_t *status, const definition *d)
{
    size_t i;
    json_t *source, *sources = json_object_get(status, "sources");
    if (!sources)
        return;
    json_array_foreach(sources, i, source)
    {
        const char *key = json_string_value(json_object_get(source, "key")),
                   *state = json_string_value(json_object_get(source, "state"));
        int64_t last_us = json_integer_value(json_object_get(source, "last_rows_us"));
        double silent = last_us ? (double)(clock_wall_us() - last_us) / 1e6 : 1e9;
        double age = key ? newest_age(d, key, json_object_get(status, "stores")) : 0;
        json_object_set(source, "rows", json_object_get(source, "rows_read"));
        json_object_set_new(source, "last_rows", resource_time_json(last_us));
        json_object_set_new(source, "lag", age > 0 ? json_real(age) : json_null());
        json_object_del(source, "rows_read");
        json_object_del(source, "last_rows_us");
        if (state)
            json_object_set_new(source, "state", json_string(connector_form_state(state, age, silent)));
    }
    json_object_set(status, "connectors", sources);
    json_object_del(status, "sources");
}

static void shape_alerts(services *s, int32_t wid, json_t *status, const definition *d)
{
    connection *c = NULL;
    json_t *open = NULL;
    status_class class;
    struct status st;
    json_object_set(status, "alert_rules", json_object_get(status, "alerts"));
    json_object_set_new(status, "alerts", json_array());
    class = pool_borrow(s->control->control, NULL, CONTROL_WAIT_MS, &c, &st);
    if (class == STATUS_OK && alert_forms(c, wid, d, true, &open, &st) == STATUS_OK)
        json_object_set_new(status, "alerts", open);
    pool_return(s->control->control, c);
}

json_t *workspace_form_stores(services *s, int32_t wid)
{
    json_t *status = flow_status(s->flow, wid), *stores = json_incref(json_object_get(status, "stores"));
    name_stores(stores);
    measure_stores(s, wid, stores);
    json_decref(status);
    return stores;
}

json_t *workspace_form_status(services *s, int32_t wid)
{
    const flow_plan *plan = flow_plan_of(s->flow, wid);
    json_t *status = plan ? flow_status(s->flow, wid) : NULL;
    if (status) {
        json_t *stores = json_object_get(status, "stores");
        const char *state = json_string_value(json_object_get(status, "state"));
        json_object_set_new(status, "key", json_string(plan->definition->workspace));
        if (state && strcmp(state, "running") == 0)
            json_object_set_new(status, "state", json_string("active"));
        name_stores(stores);
        measure_stores(s, wid, stores);
        shape_connectors(status, plan->definition);
        shape_alerts(s, wid, status, plan->definition);
    }
    flow_plan_release(plan);
    return status;
}
