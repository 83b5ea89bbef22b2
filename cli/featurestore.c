/* `penstock featurestore …`, `penstock retention …`: how derived rows are built, and how old ones go. */
#include <stdio.h>

#include "base/text.h"
#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "resource.h"
#include "tables.h"

static const resource stores = {.path = "/workspaces/{ws}/featurestores",
                                .columns = "key,title,state,rows,newest,waiting,building"};
static const resource one_store = {.path = "/workspaces/{ws}/featurestores/{0}"};
static const resource pause_build = {.path = "/workspaces/{ws}/featurestores/{0}:pause",
                                     .done = "its build is paused"};
static const resource resume_build = {.path = "/workspaces/{ws}/featurestores/{0}:resume",
                                      .done = "its build goes on"};
static const resource retention = {.path = "/workspaces/{ws}/retention",
                                   .columns = "store,retention,keeps_from,partitions,rows,horizon,held_by"};
static const resource retention_start = {.path = "/workspaces/{ws}/retention:run",
                                         .done = "retention is due"};

static void add_time(const invocation *inv, const char *name, text *path, const char *before)
{
    if (!flag_given(inv, name))
        return;
    text_printf(path, "%s%s=", before, name);
    path_escape(path, flag_text(inv, name, ""));
}

static int run_backfill(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    text path = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    text_add(&path, "/workspaces/{ws}/featurestores/");
    path_escape(&path, argument(inv, 0));
    text_add(&path, ":backfill");
    add_time(inv, "from", &path, "?");
    add_time(inv, "to", &path, flag_given(inv, "from") ? "&" : "?");
    status_class class = resource_call(inv, &(request){.method = "POST", .once = true}, path.data, &a, &st);
    if (class == STATUS_OK)
        output_object(&out, a.json);
    answer_release(&a);
    text_free(&path);
    return class == STATUS_OK ? EXIT_DONE : complain("the backfill cannot begin", &st);
}

static const flag backfill_flags[] = {
    {"from", 0, "TIME", "first event time; else as far back as rows are kept"},
    {"to", 0, "TIME", "event time before which; else now"},
    {0}};

const command featurestore_commands[] = {
    {"featurestore", "list", "", 0, 0, resource_list_flags,
     "the featurestores of a workspace, with builds and what waits", "featurestore list -w demo",
     resource_list, &stores},
    {"featurestore", "show", "KEY", 1, 1, NULL, "one featurestore with the progress of its build",
     "featurestore show pump_metrics_10min -w demo", resource_show, &one_store},
    {"featurestore", "backfill", "KEY", 1, 1, backfill_flags,
     "computes a stretch again, newest first, beside the normal refresh",
     "featurestore backfill pump_metrics_10min --from now-7d -w demo", run_backfill, NULL},
    {"featurestore", "pause", "KEY", 1, 1, NULL, "lets its build stand still; refreshes go on",
     "featurestore pause pump_metrics_10min -w demo", resource_post, &pause_build},
    {"featurestore", "resume", "KEY", 1, 1, NULL, "lets a paused build go on",
     "featurestore resume pump_metrics_10min -w demo", resource_post, &resume_build},
    {0},
};

const command retention_commands[] = {
    {"retention", "show", "", 0, 0, resource_list_flags,
     "what retention would remove now, store by store, and what holds it back", "retention show -w demo",
     resource_list, &retention},
    {"retention", "run", "", 0, 0, NULL, "removes it now instead of within the hour", "retention run -w demo",
     resource_post, &retention_start},
    {0},
};
