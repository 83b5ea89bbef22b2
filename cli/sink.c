/* `penstock sink …`: where rows go to, how far behind, stopping and going on. */
#include "complaint.h"
#include "exit_code.h"
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
    {0},
};
