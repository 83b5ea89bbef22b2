/* `penstock connector …`: how they are, trying one out before it is saved, what its source has, its hook. */
#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "config/yaml_tree.h"
#include "exit_code.h"
#include "proposal.h"
#include "resource.h"
#include "tables.h"

static const resource connectors = {.path = "/workspaces/{ws}/connectors",
                                    .columns = "key,plugin,state,rows,lag,error"};
static const resource one_connector = {.path = "/workspaces/{ws}/connectors/{0}"};
static const resource pause = {.path = "/workspaces/{ws}/connectors/{0}:pause", .done = "is paused"};
static const resource resume = {.path = "/workspaces/{ws}/connectors/{0}:resume", .done = "goes on"};

/* ---- trials ---- */

/* The connector KEY of a template or local layer, or a file that is a connector. */
static status_class from_file(const invocation *inv, yaml_tree **tree, const json_t **out, status *st)
{
    const char *file = flag_text(inv, "file", NULL), *key = argument(inv, 0);
    if (yaml_tree_read(file, tree, st) != STATUS_OK)
        return st->class;
    const json_t *root = yaml_tree_root(*tree), *all = json_object_get(root, "connectors");
    *out = all && key ? json_object_get(all, key) : all ? NULL : root;
    if (json_is_object(*out))
        return STATUS_OK;
    return all && !key
               ? status_at(st, STATUS_INVALID, file, "it has several connectors: name one")
               : status_at(st, STATUS_INVALID, file, "there is no connector %s in it", key ? key : "");
}

static status_class try_out(invocation *inv, const char *action, answer *a, status *st)
{
    char path[80];
    yaml_tree *tree = NULL;
    const json_t *body = NULL;
    bool given = flag_given(inv, "file");
    if (!given && !argument(inv, 0))
        return status_set(st, STATUS_INVALID, "name a connector, or give its file with --file");
    status_class class = given ? from_file(inv, &tree, &body, st) : STATUS_OK;
    snprintf(path, sizeof path, "/workspaces/{ws}/connectors%s:%s", given ? "" : "/{0}", action);
    if (class == STATUS_OK)
        class = resource_call(inv, &(request){.method = "POST", .json = body}, path, a, st);
    yaml_tree_free(tree);
    return class;
}

/* The columns of the rows, in the order in which they come up. */
static void columns_of(const json_t *rows, text *out)
{
    size_t i;
    json_t *item, *value, *known = json_object();
    const char *name;
    json_array_foreach(rows, i, item)
    {
        json_object_foreach(item, name, value)
        {
            if (json_object_get(known, name))
                continue;
            json_object_set_new(known, name, json_true());
            text_printf(out, "%s%s", out->len ? "," : "", name);
        }
    }
    json_decref(known);
}

static status_class print_rows(const output *out, const json_t *document, status *st)
{
    size_t i;
    json_t *one, *rows = json_array();
    text columns = {0};
    json_array_foreach(json_object_get(document, "rows"), i, one)
    {
        json_array_append(rows, json_object_get(one, "row"));
    }
    columns_of(rows, &columns);
    status_class class = STATUS_OK;
    if (json_array_size(rows) || out->format == OUTPUT_JSON)
        class = output_items(out, text_or_empty(&columns), rows, document, st);
    text_free(&columns);
    json_decref(rows);
    return class;
}

static void say_rejects(const json_t *document)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(document, "rejects"), i, one)
    {
        say("refused: %s %s: %s", json_string_value(json_object_get(one, "code")),
            json_string_value(json_object_get(one, "pointer")),
            json_string_value(json_object_get(one, "detail")));
        say("    %.200s", json_string_value(json_object_get(one, "payload")));
    }
}

static int run_check(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = try_out(inv, "check", &a, &st);
    if (class == STATUS_OK)
        class = print_rows(&out, a.json, &st);
    if (class != STATUS_OK) {
        answer_release(&a);
        return complain("the connector does not work", &st);
    }
    const char *note = json_string_value(json_object_get(a.json, "note"));
    bool some = json_array_size(json_object_get(a.json, "rows")) > 0;
    bool refused = json_array_size(json_object_get(a.json, "rejects")) > 0;
    say_rejects(a.json);
    if (note)
        say("%s", note);
    answer_release(&a);
    return !refused ? EXIT_DONE : some ? EXIT_PARTIAL : EXIT_INVALID;
}

static int run_discover(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    unsigned added = 0;
    const char *file = flag_text(inv, "write", NULL);
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = try_out(inv, "discover", &a, &st);
    const char *yaml = json_string_value(json_object_get(a.json, "yaml"));
    if (class == STATUS_OK && file)
        class = proposal_write(file, yaml ? yaml : "", &added, &st);
    else if (class == STATUS_OK && out.format == OUTPUT_TABLE)
        fputs(yaml ? yaml : "", stdout);
    else if (class == STATUS_OK)
        class = output_items(&out, "key,stream,title", json_object_get(a.json, "streams"), a.json, &st);
    bool none = json_array_size(json_object_get(a.json, "streams")) == 0;
    answer_release(&a);
    if (class != STATUS_OK)
        return complain("what the source has is not known", &st);
    if (none)
        say("nothing was found: the source has nothing now, or sent nothing while it was listened to");
    else if (file)
        say("%s: %u datastore%s added", file, added, added == 1 ? "" : "s");
    return EXIT_DONE;
}

/* ---- the hook ---- */

static int run_hook(invocation *inv)
{
    status st;
    output out;
    answer a = {0};
    long keep = 0;
    bool rotate = flag_given(inv, "rotate");
    if (output_make(inv, &out, &st) != STATUS_OK ||
        flag_number(inv, "keep-old", 0, 7 * 86400, &keep, &st) != STATUS_OK)
        return complain_usage(&st);
    json_t *body = json_pack("{s:i}", "keep_old_seconds", (int)keep);
    request r = {.method = rotate ? "POST" : "GET", .json = rotate ? body : NULL};
    status_class class = resource_call(inv, &r,
                                       rotate ? "/workspaces/{ws}/connectors/{0}:rotate-hook"
                                              : "/workspaces/{ws}/connectors/{0}/hook",
                                       &a, &st);
    json_decref(body);
    const char *url = json_string_value(json_object_get(a.json, "url"));
    const char *path = json_string_value(json_object_get(a.json, "path"));
    if (class == STATUS_OK && rotate && (out.names_only || out.format == OUTPUT_TABLE)) {
        printf("%s\n", url ? url : path ? path : "");
        say("this is the only time the address is shown");
    } else if (class == STATUS_OK) {
        output_object(&out, a.json);
    }
    answer_release(&a);
    return class == STATUS_OK ? EXIT_DONE : complain("the hook's address is not known", &st);
}

/* ---- the table ---- */

static const flag check_flags[] = {
    {"file", 'f', "FILE", "a connector that is not saved: its file, or the template or layer it stands in"},
    {0},
};
static const flag discover_flags[] = {
    {"file", 'f', "FILE", "a connector that is not saved: its file, or the template or layer it stands in"},
    {"write", 0, "FILE", "adds the datastores to this template or local layer, which may not exist yet"},
    {0},
};
static const flag hook_flags[] = {
    {"rotate", 0, NULL, "make a new address; the old one ends"},
    {"keep-old", 0, "SECONDS", "let the old one work for so long; at most 7 days"},
    {0},
};

const command connector_commands[] = {
    {"connector", "list", "", 0, 0, resource_list_flags, "the connectors of a workspace and how they are",
     "connector list -w demo", resource_list, &connectors},
    {"connector", "show", "KEY", 1, 1, NULL, "one connector with its configuration and counters",
     "connector show rig -w demo", resource_show, &one_connector},
    {"connector", "check", "[KEY]", 0, 1, check_flags,
     "tries a connector in a process of its own: is it reached, and the first ten rows as they would be "
     "taken; "
     "nothing is stored",
     "connector check rig -w demo\nconnector check weather -f layer.yaml -w demo", run_check, NULL},
    {"connector", "discover", "[KEY]", 0, 1, discover_flags,
     "what streams its source has, as datastores to paste or to write into a file",
     "connector discover plant -f layer.yaml -w demo\nconnector discover plant --write layer.yaml -w demo",
     run_discover, NULL},
    {"connector", "hook", "KEY", 1, 1, hook_flags,
     "the address that senders post to: how old it is, or a new one, which is shown once",
     "connector hook shop --rotate -w demo\nconnector hook shop --rotate --keep-old 3600 -w demo", run_hook,
     NULL},
    {"connector", "pause", "KEY", 1, 1, NULL,
     "stops reading until it is resumed, another template is applied or the host starts again (`paused: "
     "true` in the template stays)",
     "connector pause rig -w demo", resource_post, &pause},
    {"connector", "resume", "KEY", 1, 1, NULL, "reads on where it stopped", "connector resume rig -w demo",
     resource_post, &resume},
    {0},
};
