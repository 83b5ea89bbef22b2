/* What is tested is how rows become features, scores and metrics, so the copy of the template that the host
 * gets has nothing that reaches out or looks at the wall clock: no connectors, sinks, notifiers, alerts,
 * reports; no retention, and datastores accept any time. The window that a datastore does state is asked
 * here, against the test's clock, before the rows are sent. Each test has a workspace of its own. */
#include "template_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utc.h"
#include "client.h"
#include "complaint.h"
#include "control/template.h"
#include "control/template_test.h"
#include "exit_code.h"
#include "output.h"
#include "parameter.h"
#include "throwaway.h"

#define SETTLE_ROUNDS 20

typedef struct test_run {
    client *client;
    const definition *definition; /* of the whole template */
    char workspace[32];
    int64_t now_us;
} test_run;

/* ---- the copy ---- */

static bool still_named(const json_t *copy, const char *parameter)
{
    text reference = {0};
    char *whole = json_dumps(copy, JSON_COMPACT);
    text_printf(&reference, "${%s}", parameter);
    bool named = strstr(whole, reference.data) != NULL;
    text_free(&reference);
    free(whole);
    return named;
}

/* Parameters that only the left-out sections used must not be asked for. */
static void parameters_cut(json_t *copy)
{
    const char *name;
    json_t *v;
    void *next;
    json_t *parameters = json_incref(json_object_get(copy, "parameters"));
    json_object_del(copy, "parameters");
    json_object_foreach_safe(parameters, next, name, v)
    {
        if (!still_named(copy, name))
            json_object_del(parameters, name);
    }
    if (json_object_size(parameters) > 0)
        json_object_set(copy, "parameters", parameters);
    json_decref(parameters);
}

static json_t *template_cut(const json_t *root)
{
    static const char *const outside[] = {"connectors", "sinks",   "notifiers", "alerts",
                                          "dashboards", "reports", "tests"};
    const char *key;
    json_t *store;
    json_t *copy = json_deep_copy(root);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        json_object_del(copy, outside[i]);
    json_object_foreach(json_object_get(copy, "datastores"), key, store)
    {
        json_object_del(store, "retention");
        if (json_object_get(store, "time"))
            json_object_set_new(store, "accept", json_pack("{s:s,s:s}", "past", "any", "future", "any"));
    }
    parameters_cut(copy);
    return copy;
}

/* ---- what a test asks for ---- */

static status_class set_now(void *self, int64_t now_us, status *st)
{
    (void)st;
    ((test_run *)self)->now_us = now_us;
    return STATUS_OK;
}

/* The newest row is the clock, so a row can only be too old. */
static status_class window_check(const test_run *t, const defined_datastore *store, const json_t *rows,
                                 status *st)
{
    for (size_t i = 0; store->time && i < json_array_size(rows); i++) {
        int64_t us;
        const char *s = json_string_value(json_object_get(json_array_get(rows, i), store->time));
        if (!s || !utc_parse(s, strlen(s), &us) || store->accept_past_us == DEFINITION_ANY)
            continue;
        if (us < t->now_us - store->accept_past_us)
            return status_set(st, STATUS_INVALID,
                              "given row %zu of datastore:%s is rejected: time_out_of_window", i,
                              store->object.key);
    }
    return STATUS_OK;
}

static status_class call(const test_run *t, const char *method, const char *path, const json_t *json,
                         const char *accept, answer *ret, status *st)
{
    request r = {.method = method, .path = path, .json = json, .accept = accept};
    r.once = strcmp(method, "POST") == 0;
    return client_call(t->client, &r, ret, st);
}

static status_class verdict_read(const char *datastore, const json_t *verdict, status *st)
{
    json_int_t rejected = json_integer_value(json_object_get(verdict, "rejected"));
    const json_t *first = json_array_get(json_object_get(verdict, "errors"), 0);
    const char *code = json_string_value(json_object_get(first, "code")),
               *detail = json_string_value(json_object_get(first, "detail"));
    if (rejected == 0)
        return STATUS_OK;
    return status_set(st, STATUS_INVALID, "given row %lld of datastore:%s is rejected: %s: %s",
                      (long long)json_integer_value(json_object_get(first, "row")), datastore,
                      code ? code : "rejected", detail ? detail : "");
}

static status_class put(void *self, const char *datastore, const json_t *rows, status *st)
{
    test_run *t = self;
    text path = {0};
    answer a = {0};
    status_class class = window_check(t, definition_datastore(t->definition, datastore), rows, st);
    if (class != STATUS_OK)
        return class;
    text_printf(&path, "/api/v1/workspaces/%s/datastores/%s/rows?wait=stored", t->workspace, datastore);
    class = call(t, "POST", path.data, rows, NULL, &a, st);
    if (class == STATUS_OK)
        class = verdict_read(datastore, a.json, st);
    answer_release(&a);
    text_free(&path);
    return class;
}

typedef struct backlog {
    json_int_t must, may; /* may: scores, which wait for ever while a model is not trained */
} backlog;

/* What the stores still wait for; what cannot be computed is the test's failure. */
static status_class look(const test_run *t, backlog *ret, status *st)
{
    size_t i;
    char path[128];
    json_t *store;
    answer a = {0};
    snprintf(path, sizeof path, "/api/v1/workspaces/%s/status", t->workspace);
    status_class class = call(t, "GET", path, NULL, NULL, &a, st);
    *ret = (backlog){0};
    json_array_foreach(json_object_get(a.json, "stores"), i, store)
    {
        const char *problem = json_string_value(json_object_get(store, "problem")),
                   *name = json_string_value(json_object_get(store, "store"));
        json_int_t waiting = json_integer_value(json_object_get(store, "waiting"));
        bool score = name && strncmp(name, "inferencestore:", 15) == 0;
        *(score ? &ret->may : &ret->must) += waiting;
        if (class == STATUS_OK && problem && !score)
            class =
                status_set(st, STATUS_INVALID, "%s cannot be computed: %s", name ? name : "a store", problem);
    }
    answer_release(&a);
    return class;
}

/* Refreshes until nothing waits but scores that do not get fewer. */
static status_class settle(void *self, status *st)
{
    test_run *t = self;
    char path[128];
    backlog last = {0, -1};
    status_class class = STATUS_OK;
    snprintf(path, sizeof path, "/api/v1/workspaces/%s:refresh", t->workspace);
    for (int i = 0; i < SETTLE_ROUNDS && class == STATUS_OK; i++) {
        answer a = {0};
        backlog now = {0};
        class = call(t, "POST", path, NULL, NULL, &a, st);
        answer_release(&a);
        if (class == STATUS_OK)
            class = look(t, &now, st);
        if (class == STATUS_OK && now.must == 0 && (now.may == 0 || now.may == last.may))
            return STATUS_OK;
        last = now;
    }
    return class != STATUS_OK
               ? class
               : status_set(st, STATUS_TIMEOUT, "not everything is computed after %d rounds", SETTLE_ROUNDS);
}

static json_t *lines_read(const text *body)
{
    json_t *rows = json_array();
    const char *line = text_or_empty(body);
    while (line && *line) {
        const char *end = strchr(line, '\n');
        json_t *row = json_loadb(line, end ? (size_t)(end - line) : strlen(line), 0, NULL);
        if (row)
            json_array_append_new(rows, row);
        line = end ? end + 1 : NULL;
    }
    return rows;
}

static status_class read_rows(void *self, const object_reference *store, json_t **ret_rows, status *st)
{
    test_run *t = self;
    text path = {0};
    answer a = {0};
    text_printf(&path, "/api/v1/workspaces/%s/%s/%s/rows", t->workspace, class_section(store->class),
                store->key);
    status_class class = call(t, "GET", path.data, NULL, "application/x-ndjson", &a, st);
    if (class == STATUS_OK)
        *ret_rows = lines_read(&a.body);
    answer_release(&a);
    text_free(&path);
    return class;
}

/* ---- all tests of one template ---- */

typedef struct tally {
    unsigned passed, failed;
    json_t *cases; /* of -o json */
} tally;

static void tell(const output *out, tally *all, const char *name, bool passed, const text *differences,
                 const status *st)
{
    char reason[sizeof st->text + 2];
    const char *why = text_or_empty(differences);
    snprintf(reason, sizeof reason, "%s\n", st->text);
    if (!passed && !*why)
        why = reason;
    all->passed += passed;
    all->failed += !passed;
    json_array_append_new(all->cases, json_pack("{s:s,s:b,s:s}", "test", name, "passed", passed,
                                                "differences", passed ? "" : why));
    if (out->format != OUTPUT_TABLE)
        return;
    fprintf(out->to, "%s  %s\n", passed ? "pass" : "FAIL", name);
    for (const char *line = passed ? "" : why; *line;) {
        size_t len = strcspn(line, "\n");
        fprintf(out->to, "      %.*s\n", (int)len, line);
        line += len + (line[len] == '\n');
    }
}

static status_class workspace_make(const test_run *t, const char *template, const json_t *parameters,
                                   status *st)
{
    answer a = {0};
    json_t *body =
        json_pack("{s:s,s:s,s:O}", "key", t->workspace, "template", template, "parameters", parameters);
    status_class class = call(t, "POST", "/api/v1/workspaces", body, NULL, &a, st);
    json_decref(body);
    answer_release(&a);
    return class;
}

/* STATUS_INVALID is a failed test, told; anything else ends the run. */
static status_class test_one(invocation *inv, const output *out, test_run *t, const char *name,
                             const json_t *parameters, tally *all, status *st)
{
    text differences = {0};
    const template_test_host host = {t, set_now, put, settle, read_rows};
    snprintf(t->workspace, sizeof t->workspace, "test-%u", all->passed + all->failed + 1);
    t->client = inv->client;
    status_class class = workspace_make(t, t->definition->template_key, parameters, st);
    if (class == STATUS_OK) {
        class = template_test_run(t->definition, name, &host, &differences, st);
        if (class == STATUS_OK || class == STATUS_INVALID)
            tell(out, all, name, class == STATUS_OK, &differences, st);
        class = class == STATUS_INVALID ? STATUS_OK : class;
    }
    text_free(&differences);
    return class;
}

static status_class test_all(invocation *inv, const output *out, const json_t *root, const definition *d,
                             const json_t *parameters, tally *all, status *st)
{
    test_run t = {.definition = d, .client = inv->client};
    answer a = {0};
    json_t *copy = template_cut(root), *mine = json_deep_copy(parameters), *v;
    const char *name;
    void *next;
    json_object_foreach_safe(mine, next, name, v)
    {
        if (!json_object_get(json_object_get(copy, "parameters"), name))
            json_object_del(mine, name); /* of a section that is left out */
    }
    status_class class = call(&t, "POST", "/api/v1/templates", copy, NULL, &a, st);
    answer_release(&a);
    for (uint32_t i = 0; i < d->n_tests && class == STATUS_OK; i++)
        class = test_one(inv, out, &t, d->tests[i].key, mine, all, st);
    json_decref(copy);
    json_decref(mine);
    return class;
}

/* ---- the command ---- */

static int finish(const output *out, const tally *all)
{
    if (out->format != OUTPUT_TABLE) {
        json_t *document = json_pack("{s:i,s:i,s:O}", "passed", (int)all->passed, "failed", (int)all->failed,
                                     "tests", all->cases);
        output_object(&(output){.to = out->to, .format = OUTPUT_JSON}, document);
        json_decref(document);
    } else {
        fprintf(out->to, "%u passed, %u failed\n", all->passed, all->failed);
    }
    return all->failed ? EXIT_INVALID : EXIT_DONE;
}

static int run_on_host(invocation *inv, const output *out, const json_t *root, const definition *d,
                       const json_t *parameters)
{
    status st;
    throwaway host;
    tally all = {.cases = json_array()};
    status_class class = throwaway_start(inv, flag_text(inv, "plugins", NULL), &host, &st);
    if (class == STATUS_OK) {
        class = test_all(inv, out, root, d, parameters, &all, &st);
        throwaway_end(&host);
    }
    int code = class == STATUS_OK ? finish(out, &all) : complain("the tests could not be run", &st);
    json_decref(all.cases);
    return code;
}

/* NULL and `st`, or the problems told and STATUS_INVALID with no text. */
static const definition *definition_of(const yaml_tree *tree, json_t *parameters, status *st)
{
    const definition *d = NULL;
    text problems = {0};
    json_t *root = yaml_tree_root(tree);
    template_report *report = template_check(tree, root, &(template_options){0});
    template_report_text(report, &problems);
    fputs(text_or_empty(&problems), stderr);
    text_free(&problems);
    const definition_source source = {.template_body = root, .parameters = parameters};
    if (report->n_problems)
        status_set(st, STATUS_INVALID, "%u problems", report->n_problems + report->left_off);
    else
        definition_make(&source, &d, st);
    template_report_free(report);
    return d;
}

/* Sample values stand in for parameters without a default, so that the test sections can be read; the host
 * asks for those that the tested part really uses. */
static json_t *parameters_filled(const json_t *root, const json_t *given)
{
    const char *name;
    json_t *v;
    json_t *filled = json_deep_copy(given);
    json_object_foreach(json_object_get(root, "parameters"), name, v)
    {
        const char *format = json_string_value(json_object_get(v, "format"));
        if (json_object_get(filled, name) || json_object_get(v, "default"))
            continue;
        if (format && strcmp(format, "email") == 0)
            json_object_set_new(filled, name, json_string("test@example.org"));
    }
    return filled;
}

int template_test_command(invocation *inv)
{
    status st;
    output out;
    yaml_tree *tree = NULL;
    json_t *given = parameters_of(inv, "param", &st);
    if (!given || output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    if (yaml_tree_read(argument(inv, 0), &tree, &st) != STATUS_OK) {
        json_decref(given);
        return complain("the template cannot be read", &st);
    }
    json_t *root = yaml_tree_root(tree), *filled = parameters_filled(root, given);
    const definition *d = definition_of(tree, filled, &st);
    int code = EXIT_DONE;
    if (!d)
        code = complain("the template cannot be tested", &st);
    else if (d->n_tests == 0)
        say("the template has no tests");
    else
        code = run_on_host(inv, &out, root, d, given);
    definition_release(d);
    json_decref(filled);
    json_decref(given);
    yaml_tree_free(tree);
    return code;
}

const flag template_test_flags[] = {
    {"file", 'f', "FILE|DIR", "the template, as the argument"},
    {"param", 'p', "NAME=VALUE", "a parameter of the template; may be given more than once"},
    {"plugins", 0, "DIR", "one more folder of plugins"},
    {0},
};
