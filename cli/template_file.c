/* Reads YAML, sends JSON, translates places. */
#include "template_file.h"

#include <stdio.h>
#include <string.h>

#include "job.h"

/* `where` of a problem is a pointer into the request {"template": …}; point into the file instead. */
static void place_translate(const yaml_tree *tree, status *st)
{
    static const char prefix[] = "/template";
    char where[sizeof st->where];
    const char *pointer = st->where;
    if (*pointer != '/' && *pointer != '\0')
        return;
    if (strncmp(pointer, prefix, sizeof prefix - 1) == 0)
        pointer += sizeof prefix - 1;
    if (*pointer == '\0')
        return;
    yaml_tree_where(tree, pointer, false, where, sizeof where);
    snprintf(st->where, sizeof st->where, "%s", where);
}

static status_class identity_check(const yaml_tree *tree, const char **key_out, const char **version_out,
                                   status *st)
{
    const json_t *metadata = json_object_get(yaml_tree_root(tree), "metadata");
    *key_out = json_string_value(json_object_get(metadata, "key"));
    *version_out = json_string_value(json_object_get(metadata, "version"));
    if (*key_out && *version_out)
        return STATUS_OK;
    char where[sizeof st->where];
    yaml_tree_where(tree, "/metadata", false, where, sizeof where);
    status_at(st, STATUS_INVALID, where, "a template needs metadata with key and version, both text");
    return status_hint(st, "metadata: {key: pump-station, version: 1.0.0}");
}

status_class template_file_plan(invocation *inv, const yaml_tree *tree, const char *workspace, bool all,
                                answer *ret, status *st)
{
    const char *key, *version;
    text path = {0};
    memset(ret, 0, sizeof *ret);
    client *c = client_of(inv, st);
    if (!c || identity_check(tree, &key, &version, st) != STATUS_OK)
        return st->class;
    text_add(&path, "/api/v1/templates/");
    path_escape(&path, key);
    text_add(&path, "/versions/");
    path_escape(&path, version);
    text_add(&path, ":plan");
    json_t *body = json_pack("{s:O,s:b}", "template", yaml_tree_root(tree), "all", all);
    if (workspace)
        json_object_set_new(body, "workspace", json_string(workspace));
    request r = {.method = "POST", .path = path.data, .json = body, .once = true};
    status_class class = client_call(c, &r, ret, st);
    if (class == STATUS_INVALID)
        place_translate(tree, st);
    json_decref(body);
    text_free(&path);
    return class;
}

status_class template_plan_apply(invocation *inv, const char *plan_id, status *st)
{
    answer a = {0};
    text path = {0};
    client *c = client_of(inv, st);
    text_add(&path, "/api/v1/plans/");
    path_escape(&path, plan_id);
    text_add(&path, flag_given(inv, "destroy") ? ":apply?destroy=true" : ":apply");
    request r = {.method = "POST", .path = path.data, .once = true};
    status_class class = c ? client_call(c, &r, &a, st) : st->class;
    if (class == STATUS_OK)
        class = job_follow(inv, &a, st);
    answer_release(&a);
    text_free(&path);
    return class;
}

status_class template_file_publish(invocation *inv, const char *path, status *st)
{
    yaml_tree *tree = NULL;
    answer plan = {0};
    if (yaml_tree_read(path, &tree, st) != STATUS_OK)
        return st->class;
    status_class class = template_file_plan(inv, tree, NULL, false, &plan, st);
    const char *id = json_string_value(json_object_get(plan.json, "id"));
    if (class == STATUS_OK && json_array_size(json_object_get(plan.json, "changes")) > 0)
        class = id ? template_plan_apply(inv, id, st)
                   : status_set(st, STATUS_INTERNAL, "the server's plan has no id");
    answer_release(&plan);
    yaml_tree_free(tree);
    return class;
}
