/* `penstock query METRIC`: runs a metric, once or again and again. `penstock metric list|show` says which
 * there are. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utc.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "parameter.h"
#include "resource.h"
#include "tables.h"

#define WATCH_MIN_US 200000

static volatile sig_atomic_t stop;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    stop = 1;
}

/* Names of the columns, whether they came as text or as {name, type}. */
static json_t *column_names(const json_t *columns)
{
    size_t i;
    json_t *column, *names = json_array();
    json_array_foreach((json_t *)columns, i, column)
    {
        json_array_append(names, json_is_object(column) ? json_object_get(column, "name") : column);
    }
    return names;
}

static void notes_print(const json_t *answer)
{
    size_t i;
    json_t *note;
    json_array_foreach(json_object_get(answer, "notes"), i, note)
    {
        if (json_is_string(note))
            say("note: %s", json_string_value(note));
    }
    if (json_is_true(json_object_get(answer, "truncated")))
        say("note: the result was cut; narrow it with --from and --to");
}

static status_class query_once(invocation *inv, const output *out, const json_t *body, status *st)
{
    answer a;
    request r = {.method = "POST", .json = body};
    status_class class = resource_call(inv, &r, "/workspaces/{ws}/metrics/{0}:run", &a, st);
    if (class == STATUS_OK) {
        json_t *names = column_names(json_object_get(a.json, "columns"));
        class = output_rows(out, names, json_object_get(a.json, "rows"), a.json, st);
        json_decref(names);
        notes_print(a.json);
    }
    answer_release(&a);
    return class;
}

static status_class watch_interval(const invocation *inv, int64_t *us_out, status *st)
{
    const char *given = flag_text(inv, "watch", NULL);
    *us_out = 0;
    if (given && (!duration_parse(given, strlen(given), us_out) || *us_out < WATCH_MIN_US)) {
        status_set(st, STATUS_INVALID, "--watch takes a duration of at least 200ms, not `%s`", given);
        return status_hint(st, "--watch 5s");
    }
    return STATUS_OK;
}

/* Sleeps, but not through Ctrl-C. */
static void pause_us(int64_t us)
{
    struct timespec t = {us / UTC_SECOND_US, us % UTC_SECOND_US * 1000};
    if (!stop)
        nanosleep(&t, NULL);
}

static status_class query_watch(invocation *inv, const output *out, const json_t *body, int64_t every_us,
                                status *st)
{
    const struct sigaction act = {.sa_handler = on_interrupt};
    status_class class = STATUS_OK;
    sigaction(SIGINT, &act, NULL);
    while (!stop) {
        if (out->aligned)
            fputs("\033[H\033[2J", out->to);
        class = query_once(inv, out, body, st);
        fflush(out->to);
        bool again = class == STATUS_OK || class == STATUS_UNAVAILABLE || class == STATUS_TIMEOUT;
        if (!again)
            return class;
        if (class != STATUS_OK)
            complain("the server is away; asking again", st);
        pause_us(every_us);
    }
    return STATUS_OK;
}

static json_t *query_body(const invocation *inv, status *st)
{
    json_t *params = parameters_of(inv, "param", st);
    if (!params)
        return NULL;
    if (flag_given(inv, "from"))
        json_object_set_new(params, "from", json_string(flag_text(inv, "from", "")));
    if (flag_given(inv, "to"))
        json_object_set_new(params, "to", json_string(flag_text(inv, "to", "")));
    return json_pack("{s:o}", "params", params);
}

static int run_query(invocation *inv)
{
    status st;
    output out;
    int64_t every_us;
    if (output_make(inv, &out, &st) != STATUS_OK || watch_interval(inv, &every_us, &st) != STATUS_OK)
        return complain_usage(&st);
    json_t *body = query_body(inv, &st);
    if (!body)
        return complain_usage(&st);
    status_class class =
        every_us ? query_watch(inv, &out, body, every_us, &st) : query_once(inv, &out, body, &st);
    json_decref(body);
    return class == STATUS_OK ? EXIT_DONE : complain("the metric could not be run", &st);
}

static const flag query_flags[] = {
    {"from", 0, "TIME", "start: RFC 3339, or now-24h, now/d … ; the metric says its default"},
    {"to", 0, "TIME", "end, exclusive"},
    {"param", 'p', "NAME=VALUE", "a parameter of the metric; may be given more than once"},
    {"watch", 0, "EVERY", "run it again every so often, e.g. 5s"},
    {0},
};
static const resource metrics = {.path = "/workspaces/{ws}/metrics", .columns = "key,title,unit,params"};
static const resource one_metric = {.path = "/workspaces/{ws}/metrics/{0}"};

const command query_commands[] = {
    {NULL, "query", "METRIC", 1, 1, query_flags, "runs a metric and prints its rows",
     "query pressure --watch 5s\nquery pressure -w demo --from now-24h -p device=pump-2 -o csv", run_query,
     NULL},
    {0},
};

const command metric_commands[] = {
    {"metric", "list", "", 0, 0, resource_list_flags, "the metrics of a workspace", "metric list -w demo",
     resource_list, &metrics},
    {"metric", "show", "METRIC", 1, 1, NULL, "one metric with its parameters", "metric show pressure -w demo",
     resource_show, &one_metric},
    {0},
};
