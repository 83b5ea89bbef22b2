/* `penstock deadletter …`: rows that could not go on: looked at, corrected, sent again, thrown away. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/disk.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "prompt.h"
#include "resource.h"
#include "tables.h"

enum { FIX_BYTES = 1 << 20 };

/* ---- which ones ---- */

/* {ids} of the arguments, else {filter} of the flags; NULL + status when neither says which. */
static json_t *choice(const invocation *inv, status *st)
{
    static const char *const members[][2] = {
        {"store", "store"}, {"reason", "code"}, {"from", "from"}, {"to", "to"}};
    json_t *filter = json_object(), *ids = json_array();
    for (unsigned i = 0; argument(inv, i); i++)
        json_array_append_new(ids, json_string(argument(inv, i)));
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (flag_given(inv, members[i][0]))
            json_object_set_new(filter, members[i][1], json_string(flag_text(inv, members[i][0], "")));
    bool filtered = json_object_size(filter) > 0 || flag_given(inv, "all"), named = json_array_size(ids) > 0;
    if (filtered != named) {
        json_decref(named ? filter : ids);
        return named ? json_pack("{s:o}", "ids", ids) : json_pack("{s:o}", "filter", filter);
    }
    json_decref(filter);
    json_decref(ids);
    status_set(st, STATUS_INVALID,
               named ? "either ids or flags choose dead letters, not both" : "which dead letters?");
    status_hint(st, "ids, or --store, --reason, --from, --to, or --all");
    return NULL;
}

/* ---- fix ---- */

static status_class read_correction(const invocation *inv, json_t **out, status *st)
{
    text body = {0};
    json_error_t where;
    const char *path = argument(inv, 1);
    status_class class = disk_read(path && path[0] != '-' ? path : "/dev/stdin", FIX_BYTES, &body, st);
    if (class != STATUS_OK)
        return class;
    *out = json_loadb(text_or_empty(&body), body.len, JSON_REJECT_DUPLICATES, &where);
    text_free(&body);
    if (json_is_object(*out))
        return STATUS_OK;
    const char *why = *out ? "it is none" : where.text;
    json_decref(*out);
    *out = NULL;
    return status_set(st, STATUS_INVALID, "the correction is one row as a JSON object: %s", why);
}

static int run_fix(invocation *inv)
{
    status st;
    answer found = {0}, a = {0};
    json_t *row = NULL;
    static const char path[] = "/workspaces/{ws}/dead-letters/{0}";
    status_class class = read_correction(inv, &row, &st);
    if (class == STATUS_OK)
        class = resource_call(inv, &(request){.method = "GET"}, path, &found, &st);
    if (class == STATUS_OK) {
        request r = {.method = "PUT", .json = row, .if_match = found.etag};
        class = resource_call(inv, &r, path, &a, &st);
    }
    answer_release(&found);
    answer_release(&a);
    json_decref(row);
    if (class != STATUS_OK)
        return complain("the dead letter was not corrected", &st);
    say("corrected; send it: penstock deadletter replay %s", argument(inv, 0));
    return EXIT_DONE;
}

/* ---- replay ---- */

static void add_counts(json_t *sum, const json_t *page)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)page, name, v)
    {
        if (json_is_integer(v))
            json_object_set_new(
                sum, name,
                json_integer(json_integer_value(json_object_get(sum, name)) + json_integer_value(v)));
        else if (json_is_array(v) && json_object_get(sum, name))
            json_array_extend(json_object_get(sum, name), v);
        else if (json_is_array(v))
            json_object_set(sum, name, v);
    }
}

/* Page by page, until the server says that these were all. */
static status_class replay_all(invocation *inv, json_t *body, json_t *sum, status *st)
{
    status_class class = STATUS_OK;
    bool more = true;
    while (class == STATUS_OK && more) {
        answer a = {0};
        request r = {.method = "POST", .json = body, .once = true};
        class = resource_call(inv, &r, "/workspaces/{ws}/dead-letters:replay", &a, st);
        const json_t *next = json_object_get(a.json, "next");
        more = class == STATUS_OK && json_is_string(next);
        if (class == STATUS_OK)
            add_counts(sum, a.json);
        if (more)
            json_object_set(body, "after", (json_t *)next);
        answer_release(&a);
    }
    return class;
}

static int run_replay(invocation *inv)
{
    status st;
    output out;
    json_t *body = choice(inv, &st), *sum = json_object();
    if (!body || output_make(inv, &out, &st) != STATUS_OK) {
        json_decref(body);
        json_decref(sum);
        return complain_usage(&st);
    }
    status_class class = replay_all(inv, body, sum, &st);
    bool left = json_integer_value(json_object_get(sum, "rejected")) > 0 ||
                json_integer_value(json_object_get(sum, "failed")) > 0;
    if (class == STATUS_OK)
        output_object(&out, sum);
    json_decref(body);
    json_decref(sum);
    if (class != STATUS_OK)
        return complain("the dead letters were not sent", &st);
    return left ? EXIT_PARTIAL : EXIT_DONE;
}

/* ---- purge ---- */

static status_class purge_all(invocation *inv, json_t *body, json_int_t *n_out, status *st)
{
    status_class class = STATUS_OK;
    bool more = true;
    while (class == STATUS_OK && more) {
        answer a = {0};
        request r = {.method = "POST", .json = body, .once = true};
        class = resource_call(inv, &r, "/workspaces/{ws}/dead-letters:purge", &a, st);
        more = class == STATUS_OK && json_is_true(json_object_get(a.json, "more"));
        *n_out += json_integer_value(json_object_get(a.json, "purged"));
        answer_release(&a);
    }
    return class;
}

static int run_purge(invocation *inv)
{
    status st;
    json_int_t n = 0;
    json_t *body = choice(inv, &st);
    const char *workspace = body ? workspace_of(inv, &st) : NULL;
    if (!workspace || prompt_name(inv, workspace, &st) != STATUS_OK) {
        json_decref(body);
        return complain_usage(&st);
    }
    json_object_set_new(body, "confirm", json_string(workspace));
    status_class class = purge_all(inv, body, &n, &st);
    json_decref(body);
    if (class != STATUS_OK)
        return complain("the dead letters were not all thrown away", &st);
    say("%lld dead letters are thrown away, the ledger counts them as dropped", (long long)n);
    return EXIT_DONE;
}

/* ---- the table ---- */

#define CHOOSING                                                                \
    {"store", 0, "KEY", "of this store, or of this stage (model:judge)"},       \
        {"reason", 0, "CODE", "with this reason"},                              \
        {"from", 0, "TIME", "received from then on: RFC 3339, now-24h, now/d"}, \
    {                                                                           \
        "to", 0, "TIME", "received before then"                                 \
    }

static const flag list_flags[] = {CHOOSING, {"limit", 0, "N", "at most so many"}, {0}};
static const flag replay_flags[] = {CHOOSING, {"all", 0, NULL, "all of them"}, {0}};
static const flag purge_flags[] = {CHOOSING,
                                   {"all", 0, NULL, "all of them"},
                                   {"confirm", 0, "NAME", "the workspace's name again: the rows are gone"},
                                   {0}};
static const flag fix_flags[] = {{"file", 'f', "FILE|-", "the row, as the argument"}, {0}};
static const resource_query queries[] = {
    {"store", "filter%5Bstore%5D"}, {"reason", "filter%5Bcode%5D"}, {"from", "from"}, {"to", "to"}, {0}};
static const resource letters = {.path = "/workspaces/{ws}/dead-letters",
                                 .columns = "id,store,code,pointer,detail,attempts,fixed,received",
                                 .queries = queries};
static const resource one_letter = {.path = "/workspaces/{ws}/dead-letters/{0}"};

const command deadletter_commands[] = {
    {"deadletter", "list", "", 0, 0, list_flags, "rows that could not go on, and why",
     "deadletter list -w demo --limit 20\ndeadletter list -w demo --reason type --from now-1h", resource_list,
     &letters},
    {"deadletter", "show", "ID", 1, 1, NULL, "one of them with its bytes", "deadletter show 01JZ… -w demo",
     resource_show, &one_letter},
    {"deadletter", "fix", "ID [FILE|-]", 1, 2, fix_flags,
     "corrects one: the row as it should have been, a JSON object; what came stays beside it",
     "deadletter fix 01JZ… row.json -w demo", run_fix, NULL},
    {"deadletter", "replay", "[ID…]", 0, COMMAND_ARGS_MAX, replay_flags,
     "sends them again, oldest first, by the definition of now; exit code 9 when some were refused again",
     "deadletter replay 01JZ… -w demo\ndeadletter replay --store sensor_data --reason unknown_store -w demo",
     run_replay, NULL},
    {"deadletter", "purge", "[ID…]", 0, COMMAND_ARGS_MAX, purge_flags,
     "throws them away; the ledger counts their rows as dropped",
     "deadletter purge --from now-30d --to now-7d -w demo --confirm demo", run_purge, NULL},
    {0},
};
