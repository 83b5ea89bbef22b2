/* `penstock why-slow`: what holds a workspace's rows up now. */
#include <stdio.h>

#include "complaint.h"
#include "exit_code.h"
#include "output.h"
#include "resource.h"
#include "tables.h"

static double number(const json_t *document, const char *part, const char *name)
{
    return json_number_value(json_object_get(json_object_get(document, part), name));
}

static void print(const output *out, const json_t *document)
{
    status st;
    const char *verdict = json_string_value(json_object_get(document, "verdict"));
    fprintf(out->to, "%s\n\n", verdict ? verdict : "");
    fprintf(out->to, "waiting: %.0f rows, %.0f bytes, the oldest for %.1f s\n",
            number(document, "waiting", "rows"), number(document, "waiting", "bytes"),
            number(document, "waiting", "oldest_seconds"));
    fprintf(out->to,
            "writers, last minute: busy %.0f %%, this workspace %.0f %% of that (weight %.2f), latest commit "
            "after %.2f s\n\n",
            100 * number(document, "writers", "busy"), 100 * number(document, "writers", "share"),
            number(document, "writers", "weight"), number(document, "writers", "commit_seconds"));
    if (output_items(out, "reason,detail", json_object_get(document, "reasons"), NULL, &st) != STATUS_OK)
        complain_usage(&st);
}

static int run_why_slow(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    const char *path = argument(inv, 0) ? "/workspaces/{0}/why-slow" : "/workspaces/{ws}/why-slow";
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = resource_call(inv, &(request){.method = "GET"}, path, &a, &st);
    if (class == STATUS_OK && out.format == OUTPUT_TABLE)
        print(&out, a.json);
    else if (class == STATUS_OK)
        output_object(&out, a.json);
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("it cannot be asked", &st);
}

const command why_slow_commands[] = {
    {NULL, "why-slow", "[WORKSPACE]", 0, 1, NULL,
     "what holds a workspace's rows up: a limit, a neighbour, a lock, a build",
     "why-slow -w demo\nwhy-slow demo -o json", run_why_slow, NULL},
    {0},
};
