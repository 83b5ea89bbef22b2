/* `penstock store …`: the stores of a workspace and what they hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/name.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "resource.h"
#include "tables.h"

#define ROWS_PAGE 500
#define ROWS_MAX 1000000000L
#define ROWS_WAIT_MAX_S 3600
#define ROWS_LOOK_US 200000

static const char *const layers[] = {"datastore", "featurestore", "inferencestore"};

/* "datastore:sensor_data" → the path "/workspaces/{ws}/datastores/sensor_data". */
static status_class store_path(const char *reference, text *path, status *st)
{
    const char *colon = strchr(reference, ':');
    for (size_t i = 0; colon && i < 3; i++) {
        if (strlen(layers[i]) != (size_t)(colon - reference) ||
            strncmp(reference, layers[i], strlen(layers[i])) != 0)
            continue;
        text_printf(path, "/workspaces/{ws}/%ss/", layers[i]);
        path_escape(path, colon + 1);
        return STATUS_OK;
    }
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)(colon ? colon - reference : 0), reference);
    status_set(st, STATUS_INVALID, "`%s` names no store", reference);
    const char *near = name_suggest(word, layers, 3);
    return near ? status_hint(st, "did you mean %s%s?", near, colon)
                : status_hint(st, "datastore:KEY, featurestore:KEY or inferencestore:KEY");
}

static status_class layer_add(invocation *inv, const char *layer, json_t *all, status *st)
{
    char path[64];
    size_t i;
    json_t *item;
    snprintf(path, sizeof path, "/workspaces/{ws}/%ss", layer);
    json_t *items = resource_items(inv, path, 5000, st);
    if (!items)
        return st->class;
    json_array_foreach(items, i, item)
    {
        const char *key = json_string_value(json_object_get(item, "key"));
        json_t *named = json_pack("{s:s+++}", "store", layer, ":", key ? key : "", "");
        json_object_update(named, item);
        json_array_append_new(all, named);
    }
    json_decref(items);
    return STATUS_OK;
}

static int run_list(invocation *inv)
{
    status st;
    output out;
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    json_t *all = json_array();
    status_class class = STATUS_OK;
    for (size_t i = 0; i < 3 && class == STATUS_OK; i++)
        class = layer_add(inv, layers[i], all, &st);
    if (class == STATUS_OK)
        class = output_items(&out, "store,title,rows,newest,bytes", all, NULL, &st);
    json_decref(all);
    return class == STATUS_OK ? EXIT_DONE : complain("the stores cannot be listed", &st);
}

static int run_show(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    text path = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = store_path(argument(inv, 0), &path, &st);
    if (class != STATUS_OK) {
        text_free(&path);
        return complain_usage(&st);
    }
    class = resource_call(inv, &(request){.method = "GET"}, path.data, &a, &st);
    if (class == STATUS_OK)
        output_object(&out, a.json);
    answer_release(&a);
    text_free(&path);
    return class == STATUS_OK ? EXIT_DONE : complain("the store cannot be shown", &st);
}

static void range_add(const invocation *inv, const char *name, text *path)
{
    if (!flag_given(inv, name))
        return;
    text_printf(path, "&%s=", name);
    path_escape(path, flag_text(inv, name, ""));
}

/* Asks again while there are none, until a moment of the monotonic clock. */
static status_class ask_for_rows(invocation *inv, const char *path, int64_t until_us, answer *a, status *st)
{
    for (;;) {
        request r = {.method = "GET"};
        status_class class = resource_call(inv, &r, path, a, st);
        bool some = class == STATUS_OK && json_array_size(json_object_get(a->json, "rows")) > 0;
        if (class != STATUS_OK || some || clock_monotonic_us() >= until_us)
            return class;
        answer_release(a);
        usleep(ROWS_LOOK_US);
    }
}

/* One page of rows, of `left_io` that are wanted; prints it and keeps the cursor of the next. */
static status_class rows_page(invocation *inv, output *out, const char *base, int64_t until_us, long *left_io,
                              char **cursor_io, status *st)
{
    answer a;
    text path = {0};
    text_printf(&path, "%s?limit=%ld", base, *left_io < ROWS_PAGE ? *left_io : ROWS_PAGE);
    range_add(inv, "from", &path);
    range_add(inv, "to", &path);
    if (*cursor_io) {
        text_add(&path, "&cursor=");
        path_escape(&path, *cursor_io);
    }
    free(*cursor_io);
    *cursor_io = NULL;
    status_class class = ask_for_rows(inv, path.data, until_us, &a, st);
    if (class == STATUS_OK) {
        const json_t *columns = json_object_get(a.json, "columns");
        json_t *names = json_array();
        for (size_t i = 0; i < json_array_size(columns); i++)
            json_array_append(names, json_object_get(json_array_get(columns, i), "name"));
        class = output_rows(out, names, json_object_get(a.json, "rows"), a.json, st);
        *left_io -= (long)json_array_size(json_object_get(a.json, "rows"));
        const char *next = json_string_value(json_object_get(a.json, "next"));
        *cursor_io = next ? memory_string(next) : NULL;
        out->headers = false;
        json_decref(names);
    }
    answer_release(&a);
    text_free(&path);
    return class;
}

static int run_rows(invocation *inv)
{
    status st;
    output out;
    text path = {0};
    char *cursor = NULL;
    long left = ROWS_MAX, wait_s = 0;
    if (output_make(inv, &out, &st) != STATUS_OK || store_path(argument(inv, 0), &path, &st) != STATUS_OK ||
        flag_number(inv, "limit", 1, ROWS_MAX, &left, &st) != STATUS_OK ||
        flag_number(inv, "wait", 0, ROWS_WAIT_MAX_S, &wait_s, &st) != STATUS_OK) {
        text_free(&path);
        return complain_usage(&st);
    }
    text_add(&path, "/rows");
    status_class class;
    int64_t until_us = clock_monotonic_us() + wait_s * 1000000;
    do {
        class = rows_page(inv, &out, path.data, until_us, &left, &cursor, &st);
    } while (class == STATUS_OK && cursor && left > 0 && out.format != OUTPUT_JSON);
    free(cursor);
    text_free(&path);
    return class == STATUS_OK ? EXIT_DONE : complain("the rows cannot be read", &st);
}

static const flag rows_flags[] = {{"from", 0, "TIME", "rows from this event time on"},
                                  {"to", 0, "TIME", "rows before this event time"},
                                  {"limit", 0, "N", "at most so many"},
                                  {"wait", 0, "SECONDS", "for the first ones, at most so long"},
                                  {0}};

const command store_commands[] = {
    {"store", "list", "", 0, 0, NULL, "the stores of a workspace, with rows and the newest event time",
     "store list -w demo", run_list, NULL},
    {"store", "show", "LAYER:KEY", 1, 1, NULL, "one store with its columns",
     "store show datastore:sensor_data -w demo", run_show, NULL},
    {"store", "rows", "LAYER:KEY", 1, 1, rows_flags,
     "prints what a store holds, in the order of its key; -o json gives the first page only",
     "store rows featurestore:pump_metrics_10min -w demo --from now-1h -o csv", run_rows, NULL},
    {0},
};
