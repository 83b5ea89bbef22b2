/* `penstock workspace …`: a template's living copies. */
#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "context.h"
#include "exit_code.h"
#include "job.h"
#include "parameter.h"
#include "prompt.h"
#include "resource.h"
#include "tables.h"

static json_t *create_body(const invocation *inv, status *st)
{
    const char *template = flag_text(inv, "template", NULL);
    json_t *parameters = parameters_of(inv, "param", st);
    if (!parameters)
        return NULL;
    json_t *body =
        json_pack("{s:s,s:s,s:o}", "key", argument(inv, 0), "template", template, "parameters", parameters);
    if (flag_given(inv, "version"))
        json_object_set_new(body, "version", json_string(flag_text(inv, "version", "")));
    if (flag_given(inv, "title"))
        json_object_set_new(body, "title", json_string(flag_text(inv, "title", "")));
    return body;
}

static int run_create(invocation *inv)
{
    status st;
    answer a = {0};
    if (!flag_given(inv, "template")) {
        status_set(&st, STATUS_INVALID, "from which template?");
        status_hint(&st, "--template KEY; penstock template list");
        return complain_usage(&st);
    }
    json_t *body = create_body(inv, &st);
    if (!body)
        return complain_usage(&st);
    request r = {.method = "POST", .json = body, .once = true};
    status_class class = resource_call(inv, &r, "/workspaces", &a, &st);
    json_decref(body);
    if (class == STATUS_OK)
        class = job_follow(inv, &a, &st);
    answer_release(&a);
    if (class != STATUS_OK)
        return complain("the workspace was not made", &st);
    say("workspace `%s` is there", argument(inv, 0));
    return EXIT_DONE;
}

static int run_delete(invocation *inv)
{
    status st;
    if (prompt_name(inv, argument(inv, 0), &st) != STATUS_OK)
        return complain("the workspace was not deleted", &st);
    return resource_delete(inv);
}

static const flag create_flags[] = {
    {"template", 0, "KEY", "the template to make it from"},
    {"version", 0, "V", "a version of it; default the newest"},
    {"param", 'p', "NAME=VALUE", "a parameter of the template; may be given more than once"},
    {"title", 0, "TEXT", "how people call it"},
    {"detach", 0, NULL, "print the job's id and do not wait"},
    {0},
};
static const flag delete_flags[] = {{"confirm", 0, "NAME", "the workspace's name again: its data go too"},
                                    {"detach", 0, NULL, "print the job's id and do not wait"},
                                    {0}};
static const resource all = {.path = "/workspaces", .columns = "key,id,template,version,state,created"};
static const resource one = {.path = "/workspaces/{0}", .done = "is deleted"};
static const resource pause_one = {.path = "/workspaces/{0}:pause", .done = "is paused"};
static const resource resume_one = {.path = "/workspaces/{0}:resume", .done = "goes on"};

const command workspace_commands[] = {
    {"workspace", "create", "NAME", 1, 1, create_flags, "makes a workspace from a template",
     "workspace create plant-a --template pump-station -p ops_email=ops@example.org", run_create, NULL},
    {"workspace", "list", "", 0, 0, resource_list_flags, "the workspaces", "workspace list", resource_list,
     &all},
    {"workspace", "show", "NAME", 1, 1, NULL, "one workspace with its template and parameters",
     "workspace show demo", resource_show, &one},
    {"workspace", "pause", "NAME", 1, 1, NULL, "stops its connectors, refreshes and alerts",
     "workspace pause demo", resource_post, &pause_one},
    {"workspace", "resume", "NAME", 1, 1, NULL, "lets a paused one go on", "workspace resume demo",
     resource_post, &resume_one},
    {"workspace", "delete", "NAME", 1, 1, delete_flags, "deletes a workspace and its data",
     "workspace delete demo --confirm demo", run_delete, &one},
    {0},
};
