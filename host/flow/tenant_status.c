/* What people see of a tenant: how fresh each store is, what waits, what fails. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/utc.h"
#include "flow/tenant_private.h"

static void set_time(json_t *o, const char *key, int64_t us)
{
    char out[UTC_TEXT_SIZE];
    if (!us)
        return;
    utc_format(us, out);
    json_object_set_new(o, key, json_string(out));
}

static void set_note(tenant *t, json_t *o, const work_note *note)
{
    pthread_mutex_lock(&t->lock);
    work_note copy = *note;
    pthread_mutex_unlock(&t->lock);
    set_time(o, "last_run", copy.last_us);
    if (copy.failed)
        json_object_set_new(o, "problem", json_string(copy.problem));
}

/* Newest event time, from the index; an age beside it for people. */
static void set_freshness(json_t *o, const store_table *table, connection *c)
{
    char label[TABLE_LABEL_SIZE];
    text sql = {0};
    rows *found;
    status st;
    if (!c || table->time_column < 0)
        return;
    table_label(label, table);
    text_add(&sql, "SELECT max(");
    sql_identifier(&sql, table->columns[table->time_column].name);
    text_printf(&sql, ") FROM %s", label);
    statement newest = {"find the newest row", sql.data};
    if (connection_run(c, &newest, NULL, 0, &found, &st) != STATUS_OK) {
        json_object_set_new(o, "problem", json_string(st.text));
    } else {
        int64_t us = rows_time_us(found, 0, 0);
        set_time(o, "newest", us);
        if (us)
            json_object_set_new(o, "age_seconds", json_real((double)(clock_wall_us() - us) / 1e6));
        rows_free(found);
    }
    text_free(&sql);
}

static void set_backlog(tenant *t, json_t *o, const char *store)
{
    journal_backlog b = journal_backlog_get(t->parts.journal, (uint32_t)t->wid, store);
    json_object_set_new(o, "backlog_rows", json_integer((json_int_t)b.rows));
    json_object_set_new(o, "backlog_bytes", json_integer((json_int_t)b.bytes));
    if (b.records_lost)
        json_object_set_new(o, "records_lost", json_integer((json_int_t)b.records_lost));
    set_time(o, "oldest_waiting", b.oldest_received_us);
}

build_progress tenant_build(tenant *t, uint32_t featurestore)
{
    pthread_mutex_lock(&t->lock);
    build_progress now = t->builds_shown[featurestore];
    pthread_mutex_unlock(&t->lock);
    return now;
}

static void set_build(tenant *t, json_t *o, uint32_t i)
{
    char building[32];
    build_progress now = tenant_build(t, i);
    json_t *b = build_json(&now, clock_wall_us());
    if (!b)
        return;
    snprintf(building, sizeof building, "%.1f %%%s", build_percent(&now), now.paused ? ", paused" : "");
    json_object_set_new(o, "build", b);
    json_object_set_new(o, "building", json_string(building));
    if (now.kind == BUILD_FIRST)
        json_object_set_new(o, "state", json_string("building"));
}

/* What the last run of retention left of each store. */
static void set_retention(tenant *t, json_t *stores)
{
    size_t i, k;
    json_t *store, *one;
    pthread_mutex_lock(&t->lock);
    json_t *shown = t->retention_shown ? json_loads(t->retention_shown, 0, NULL) : NULL;
    pthread_mutex_unlock(&t->lock);
    json_array_foreach(stores, i, store) json_array_foreach(shown, k, one)
    {
        char name[96];
        snprintf(name, sizeof name, "%s:%s", json_string_value(json_object_get(store, "class")),
                 json_string_value(json_object_get(store, "key")));
        const char *of = json_string_value(json_object_get(one, "store"));
        if (!of || strcmp(name, of) != 0) /* taken by another store: its name is gone */
            continue;
        json_object_del(one, "store");
        json_object_set(store, "retention", one);
    }
    json_decref(shown);
}

static json_t *store_base(const store_table *table, connection *c)
{
    json_t *o = json_pack("{s:s, s:s}", "class", store_class_schema(table->class), "key", table->key);
    set_freshness(o, table, c);
    return o;
}

static json_t *stores(tenant *t, connection *c)
{
    json_t *list = json_array();
    const definition *d = t->plan->definition;
    for (uint32_t i = 0; i < d->n_datastores; i++) {
        json_t *o = store_base(&t->plan->datastores[i].table, c);
        set_backlog(t, o, d->datastores[i].object.key);
        json_array_append_new(list, o);
    }
    for (uint32_t i = 0; i < d->n_featurestores; i++) {
        const featurestore_plan *f = &t->plan->featurestores[i];
        json_t *o = f->table.n_columns
                        ? store_base(&f->table, c)
                        : json_pack("{s:s, s:s}", "class", "featurestore", "key", f->defined->object.key);
        set_note(t, o, &t->features[i]);
        set_build(t, o, i);
        if (f->problem)
            json_object_set_new(o, "problem", json_string(f->problem));
        json_array_append_new(list, o);
    }
    for (uint32_t i = 0; i < d->n_inferencestores; i++)
        json_array_append_new(list, store_base(&t->plan->inferencestores[i], c));
    set_retention(t, list);
    return list;
}

static json_t *models(tenant *t)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->n_models; i++) {
        json_t *o = json_pack("{s:s}", "key", t->plan->definition->models[i].object.key);
        set_note(t, o, &t->scores[i]);
        pthread_mutex_lock(&t->lock);
        json_object_set_new(o, "version", json_integer((json_int_t)t->versions_shown[i]));
        if (t->trainings[i].failed)
            json_object_set_new(o, "training_problem", json_string(t->trainings[i].problem));
        pthread_mutex_unlock(&t->lock);
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *sources(tenant *t)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->n_connectors; i++) {
        const char *key = t->connector_keys[i];
        json_t *o = tenant_source_status(t, key);
        json_object_set_new(o, "key", json_string(key));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *sinks(tenant *t)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->plan->definition->n_sinks; i++)
        json_array_append_new(list, tenant_sink_status(t, t->plan->definition->sinks[i].object.key));
    return list;
}

static json_t *alerts(tenant *t)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < t->n_alerts; i++) {
        json_t *o = json_pack("{s:s}", "key", t->plan->definition->alerts[i].object.key);
        set_note(t, o, &t->alerts[i]);
        json_array_append_new(list, o);
    }
    return list;
}

json_t *tenant_status(tenant *t)
{
    connection *c = NULL;
    status st;
    const flow_plan *plan = tenant_plan(t, NULL);
    if (!plan)
        return NULL;
    const definition *d = plan->definition;
    bool connected = tenant_borrow(t, &c, &st) == STATUS_OK;
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "workspace", d->workspace, "id", d->workspace_id,
                          "template", d->template_key, "version", d->template_version, "state",
                          t->paused ? "paused" : "running", "generation", (json_int_t)d->generation);
    if (!connected)
        json_object_set_new(o, "problem", json_string(st.text));
    json_object_set_new(o, "stores", stores(t, c));
    json_object_set_new(o, "sources", sources(t));
    json_object_set_new(o, "sinks", sinks(t));
    json_object_set_new(o, "models", models(t));
    json_object_set_new(o, "alerts", alerts(t));
    pool_return(t->parts.flow->data, c);
    flow_plan_release(plan);
    return o;
}
