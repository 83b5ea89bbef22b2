/* `penstock template …`: the YAML files that workspaces are made from. */
#include <stdio.h>
#include <string.h>

#include "complaint.h"
#include "exit_code.h"
#include "prompt.h"
#include "resource.h"
#include "tables.h"
#include "template_check.h"
#include "template_file.h"
#include "template_test.h"

static const char *word(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

/* "+ datastore:sensor_data  new table", one line a change. Returns how many destroy something. */
static unsigned changes_print(FILE *to, const json_t *plan)
{
    size_t i;
    json_t *change;
    unsigned destructive = 0;
    json_array_foreach(json_object_get(plan, "changes"), i, change)
    {
        bool destroys = json_is_true(json_object_get(change, "destructive"));
        fprintf(to, "%s %s  %s%s\n", word(change, "op"), word(change, "object"), word(change, "detail"),
                destroys ? "  [destroys data]" : "");
        destructive += destroys;
    }
    return destructive;
}

static void plan_print(const output *out, const json_t *plan)
{
    size_t n = json_array_size(json_object_get(plan, "changes"));
    if (out->format != OUTPUT_TABLE) {
        output_object(&(output){.to = out->to, .format = OUTPUT_JSON}, plan);
        return;
    }
    unsigned destructive = changes_print(out->to, plan);
    if (n == 0)
        fputs("no changes\n", out->to);
    else
        fprintf(out->to, "%zu changes, %u destroy data; plan %s\n", n, destructive, word(plan, "id"));
}

/* The plan for what the argument and the flags name. */
static status_class plan_make(invocation *inv, answer *plan, status *st)
{
    yaml_tree *tree = NULL;
    memset(plan, 0, sizeof *plan);
    status_class class = yaml_tree_read(argument(inv, 0), &tree, st);
    if (class == STATUS_OK)
        class = template_file_plan(inv, tree, flag_text(inv, "workspace", NULL), flag_given(inv, "all"), plan,
                                   st);
    yaml_tree_free(tree);
    return class;
}

static int run_plan(invocation *inv)
{
    status st;
    output out;
    answer plan;
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    status_class class = plan_make(inv, &plan, &st);
    bool changes = json_array_size(json_object_get(plan.json, "changes")) > 0;
    if (class == STATUS_OK)
        plan_print(&out, plan.json);
    answer_release(&plan);
    if (class != STATUS_OK)
        return complain("there is no plan", &st);
    return changes && flag_given(inv, "exit-code") ? EXIT_CHANGES : EXIT_DONE;
}

/* Shows the plan, asks, applies. */
static status_class plan_confirm(invocation *inv, char *id, size_t size, status *st)
{
    answer plan;
    status_class class = plan_make(inv, &plan, st);
    size_t n = json_array_size(json_object_get(plan.json, "changes"));
    *id = '\0';
    if (class == STATUS_OK && n == 0)
        say("no changes");
    if (class == STATUS_OK && n > 0) {
        changes_print(stderr, plan.json);
        class = prompt_confirm(inv, "apply these changes?", st);
        snprintf(id, size, "%s", word(plan.json, "id"));
    }
    answer_release(&plan);
    return class;
}

static int run_apply(invocation *inv)
{
    status st;
    char id[128];
    status_class class = STATUS_OK;
    if (!argument(inv, 0) == !flag_given(inv, "plan")) {
        status_set(&st, STATUS_INVALID, "a template or a plan, one of them");
        status_hint(&st, "penstock template apply FILE|DIR, or --plan ID");
        return complain_usage(&st);
    }
    snprintf(id, sizeof id, "%s", flag_text(inv, "plan", ""));
    if (!*id)
        class = plan_confirm(inv, id, sizeof id, &st);
    if (class == STATUS_OK && *id)
        class = template_plan_apply(inv, id, &st);
    if (class != STATUS_OK)
        return complain("nothing was applied", &st);
    if (*id)
        say("applied");
    return EXIT_DONE;
}

static const flag validate_flags[] = {{"file", 'f', "FILE|DIR", "the template, as the argument"}, {0}};
static const flag plan_flags[] = {
    {"file", 'f', "FILE|DIR", "the template, as the argument"},
    {"all", 0, NULL, "for every workspace that is made from it"},
    {"exit-code", 0, NULL, "exit 3 if there are changes"},
    {0},
};
static const flag apply_flags[] = {
    {"file", 'f', "FILE|DIR", "the template, as the argument: plan, show, ask, apply"},
    {"plan", 0, "ID", "apply exactly this plan"},
    {"all", 0, NULL, "to every workspace that is made from it"},
    {"destroy", 0, NULL, "also changes that destroy data: a store that goes, a shorter retention"},
    {"detach", 0, NULL, "print the job's id and do not wait"},
    {0},
};
static const resource all = {.path = "/templates", .columns = "key,version,title,workspaces"};
static const resource one = {.path = "/templates/{0}"};

const command template_commands[] = {
    {"template", "validate", "FILE|DIR", 1, 1, validate_flags, "checks a template without a server",
     "template validate template.yaml", template_validate_run, NULL},
    {"template", "schema", "", 0, 0, NULL, "prints the JSON Schema of the format, for editors",
     "template schema > penstock-template.schema.json", template_schema_run, NULL},
    {"template", "test", "FILE|DIR", 1, 1, template_test_flags,
     "runs a template's own tests on a host that lives only for them",
     "template test templates/pump-station\ntemplate test template.yaml -p site=north -o json",
     template_test_command, NULL},
    {"template", "plan", "FILE|DIR", 1, 1, plan_flags, "says what applying a template would change",
     "template plan template.yaml\ntemplate plan template.yaml -w plant-a --exit-code", run_plan, NULL},
    {"template", "apply", "[FILE|DIR]", 0, 1, apply_flags,
     "publishes a template; with -w or --all upgrades workspaces too",
     "template apply template.yaml --yes\ntemplate apply --plan plan_01JZ…", run_apply, NULL},
    {"template", "list", "", 0, 0, resource_list_flags, "the published templates", "template list",
     resource_list, &all},
    {"template", "show", "KEY", 1, 1, NULL, "one template with its versions", "template show pump-station",
     resource_show, &one},
    {0},
};
