/* `penstock status`: is the host well, how fresh is each store, what fires. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "output.h"
#include "resource.h"
#include "tables.h"

static void age_add(json_t *store)
{
    char age[UTC_TEXT_SIZE];
    const json_t *seconds = json_object_get(store, "age_seconds");
    if (!json_is_number(seconds))
        return;
    int64_t us = (int64_t)json_number_value(seconds) * UTC_SECOND_US;
    duration_format(us < 0 ? 0 : us, age);
    json_object_set_new(store, "age", json_string(age));
}

static void stores_print(const output *out, const json_t *document)
{
    size_t i;
    json_t *store;
    status st;
    json_t *stores = json_object_get(document, "stores");
    json_array_foreach(stores, i, store)
    {
        age_add(store);
    }
    if (output_items(out, "store,rows,newest,age,waiting,bytes,state", stores, NULL, &st) != STATUS_OK)
        complain_usage(&st);
}

static void firing_print(const output *out, const json_t *document)
{
    status st;
    const json_t *alerts = json_object_get(document, "alerts");
    fputc('\n', out->to);
    if (json_array_size(alerts) == 0)
        fputs("no alert fires\n", out->to);
    else if (output_items(out, "rule,labels,state,severity,value,since", alerts, NULL, &st) != STATUS_OK)
        complain_usage(&st);
}

/* The alarm: rows were lost, or counted wrongly. */
static void ledger_print(const output *out, const json_t *document)
{
    const json_t *ledger = json_object_get(document, "ledger");
    const char *store = json_string_value(json_object_get(ledger, "store"));
    const char *minute = json_string_value(json_object_get(ledger, "minute"));
    if (json_is_false(json_object_get(ledger, "balanced")))
        fprintf(out->to, "the ledger does NOT balance: %lld minutes, the first %s of %s, %+lld rows\n",
                (long long)json_integer_value(json_object_get(ledger, "minutes")), minute ? minute : "",
                store ? store : "", (long long)json_integer_value(json_object_get(ledger, "difference")));
}

static void workspace_print(const output *out, const json_t *document)
{
    const char *key = json_string_value(json_object_get(document, "key"));
    const char *state = json_string_value(json_object_get(document, "state"));
    fprintf(out->to, "\nworkspace %s: %s\n", key ? key : "", state ? state : "");
    ledger_print(out, document);
    stores_print(out, document);
    firing_print(out, document);
}

static status_class workspace_status(invocation *inv, const char *key, json_t *all, status *st)
{
    answer a = {0};
    text path = {0};
    text_add(&path, "/workspaces/");
    path_escape(&path, key);
    text_add(&path, "/status");
    status_class class = resource_call(inv, &(request){.method = "GET"}, path.data, &a, st);
    if (class == STATUS_OK)
        json_array_append(all, a.json);
    answer_release(&a);
    text_free(&path);
    return class;
}

/* The workspace of -w, else every one. */
static status_class workspaces_status(invocation *inv, json_t *all, status *st)
{
    size_t i;
    json_t *one;
    if (flag_given(inv, "workspace"))
        return workspace_status(inv, flag_text(inv, "workspace", ""), all, st);
    json_t *workspaces = resource_items(inv, "/workspaces", 1000, st);
    status_class class = workspaces ? STATUS_OK : st->class;
    json_array_foreach(workspaces, i, one)
    {
        const char *key = json_string_value(json_object_get(one, "key"));
        if (class == STATUS_OK && key)
            class = workspace_status(inv, key, all, st);
    }
    json_decref(workspaces);
    return class;
}

static void host_print(const output *out, const context *c, const json_t *system)
{
    char up[UTC_TEXT_SIZE] = "";
    const char *state = json_string_value(json_object_get(system, "state"));
    const char *version = json_string_value(json_object_get(system, "version"));
    duration_format((int64_t)json_number_value(json_object_get(system, "uptime_seconds")) * UTC_SECOND_US,
                    up);
    fprintf(out->to, "host %s: %s, version %s, up %s\n", c->url, state ? state : "running",
            version ? version : "?", up);
}

static int run_status(invocation *inv)
{
    status st;
    output out;
    answer system = {0};
    size_t i;
    json_t *one, *all = json_array();
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    const context *c = context_of(inv, &st);
    status_class class =
        c ? resource_call(inv, &(request){.method = "GET"}, "/system", &system, &st) : st.class;
    if (class == STATUS_OK)
        class = workspaces_status(inv, all, &st);
    if (class == STATUS_OK && c && out.format == OUTPUT_TABLE) {
        host_print(&out, c, system.json);
        json_array_foreach(all, i, one)
        {
            workspace_print(&out, one);
        }
    } else if (class == STATUS_OK) {
        json_t *document = json_pack("{s:O,s:O}", "system", system.json, "workspaces", all);
        output_object(&(output){.to = out.to, .format = OUTPUT_JSON}, document);
        json_decref(document);
    }
    json_decref(all);
    answer_release(&system);
    return class == STATUS_OK ? EXIT_DONE : complain("the state cannot be asked", &st);
}

const command status_commands[] = {
    {NULL, "status", "", 0, 0, NULL, "is the host well, how fresh is each store, what fires",
     "status\nstatus -w demo", run_status, NULL},
    {0},
};
