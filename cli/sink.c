/* `penstock sink …`: where rows go to, how far behind, stopping and going on. */
#include "resource.h"
#include "tables.h"

static const resource sinks = {.path = "/workspaces/{ws}/sinks",
                               .columns = "key,plugin,from,state,delivered,refused,lag_seconds,error"};
static const resource one_sink = {.path = "/workspaces/{ws}/sinks/{0}"};
static const resource pause = {.path = "/workspaces/{ws}/sinks/{0}:pause", .done = "is paused"};
static const resource resume = {.path = "/workspaces/{ws}/sinks/{0}:resume", .done = "goes on"};

const command sink_commands[] = {
    {"sink", "list", "", 0, 0, resource_list_flags,
     "the sinks of a workspace, how they are and how far behind", "sink list -w demo", resource_list, &sinks},
    {"sink", "show", "KEY", 1, 1, NULL, "one sink with its configuration and counters",
     "sink show lake -w demo", resource_show, &one_sink},
    {"sink", "pause", "KEY", 1, 1, NULL,
     "stops delivering until it is resumed or the host starts again; rows stay in their store",
     "sink pause lake -w demo", resource_post, &pause},
    {"sink", "resume", "KEY", 1, 1, NULL,
     "delivers on from where it stopped; one that backs off tries at once", "sink resume lake -w demo",
     resource_post, &resume},
    {0},
};
