/* `penstock sink …`: where rows go to, how far behind, stopping and going on. */
#include "complaint.h"
#include "exit_code.h"
#include "prompt.h"
#include "resource.h"
#include "tables.h"

static const resource sinks = {.path = "/workspaces/{ws}/sinks",
                               .columns = "key,plugin,from,state,delivered,refused,lag_seconds,error"};
static const resource one_sink = {.path = "/workspaces/{ws}/sinks/{0}"};
static const resource pause = {.path = "/workspaces/{ws}/sinks/{0}:pause", .done = "is paused"};
static const resource resume = {.path = "/workspaces/{ws}/sinks/{0}:resume", .done = "goes on"};

static int run_check(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class =
        resource_call(inv, &(request){.method = "POST"}, "/workspaces/{ws}/sinks/{0}:check", &a, &st);
    const char *note = json_string_value(json_object_get(a.json, "note"));
    if (class == STATUS_OK && out.format != OUTPUT_TABLE)
        output_object(&out, a.json);
    else if (class == STATUS_OK && note)
        say("%s", note);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("the sink does not work", &st);
}

/* What is to be asked for; NULL: st says why not. */
static json_t *rewind_body(const invocation *inv, status *st)
{
    bool all = flag_given(inv, "to-beginning"), some = flag_given(inv, "to-time");
    if (all != some)
        return json_pack("{s:s}", "to", all ? "beginning" : flag_text(inv, "to-time", ""));
    status_set(st, STATUS_INVALID, "from where on are rows to go out again?");
    status_hint(st, "--to-beginning, or --to-time now-24h");
    return NULL;
}

static int run_rewind(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    json_t *body = NULL;
    if (output_make(inv, &out, &st) == STATUS_OK)
        body = rewind_body(inv, &st);
    if (!body || prompt_confirm(inv, "rows that are there already go out again; go on?", &st) != STATUS_OK) {
        json_decref(body);
        return complain_usage(&st);
    }
    request r = {.method = "POST", .json = body};
    status_class class = resource_call(inv, &r, "/workspaces/{ws}/sinks/{0}:rewind", &a, &st);
    json_int_t was = json_integer_value(json_object_get(a.json, "was")),
               now = json_integer_value(json_object_get(a.json, "position"));
    if (class == STATUS_OK && out.format != OUTPUT_TABLE)
        output_object(&out, a.json);
    else if (class == STATUS_OK && was == now)
        say("it stands before that already, at %lld: all of it goes out anyhow", (long long)now);
    else if (class == STATUS_OK)
        say("it goes on behind row %lld; it stood at %lld", (long long)now, (long long)was);
    json_decref(body);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("the sink was not set back", &st);
}

static const flag rewind_flags[] = {
    {"to-beginning", 0, NULL, "before the oldest row of its store"},
    {"to-time", 0, "TIME", "before the first row that was received then or later: RFC 3339, now-24h"},
    {0},
};

const command sink_commands[] = {
    {"sink", "list", "", 0, 0, resource_list_flags,
     "the sinks of a workspace, how they are and how far behind", "sink list -w demo", resource_list, &sinks},
    {"sink", "show", "KEY", 1, 1, NULL, "one sink with its configuration and counters",
     "sink show lake -w demo", resource_show, &one_sink},
    {"sink", "check", "KEY", 1, 1, NULL, "is its far side there, and does it take us; nothing is sent",
     "sink check lake -w demo", run_check, NULL},
    {"sink", "pause", "KEY", 1, 1, NULL,
     "stops delivering until it is resumed, another template is applied or the host starts again; rows stay "
     "in their store",
     "sink pause lake -w demo", resource_post, &pause},
    {"sink", "resume", "KEY", 1, 1, NULL,
     "delivers on from where it stopped; one that backs off tries at once", "sink resume lake -w demo",
     resource_post, &resume},
    {"sink", "rewind", "KEY", 1, 1, rewind_flags,
     "sends rows again, from the beginning or from a time on, in batches with new ids; what is under way "
     "comes again, too",
     "sink rewind lake -w demo --to-time now-24h --yes\nsink rewind lake -w demo --to-beginning", run_rewind,
     NULL},
    {0},
};
