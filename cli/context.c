/* Reads and writes the contexts file. Values are written as JSON strings, which are YAML too. */
#include "context.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/name.h"
#include "complaint.h"
#include "config/yaml_tree.h"

static const char *const context_keys[] = {"url", "key", "workspace"};
#define CONTEXT_KEYS (sizeof context_keys / sizeof *context_keys)

static const char *home(void)
{
    const char *set = getenv("HOME");
    if (set && *set)
        return set;
    const struct passwd *me = getpwuid(getuid()); /* NOLINT(concurrency-mt-unsafe) one thread */
    return me ? me->pw_dir : "/";
}

void context_path(char *out, size_t size)
{
    const char *set = getenv("PENSTOCK_CONFIG"), *config = getenv("XDG_CONFIG_HOME");
    if (set && *set)
        snprintf(out, size, "%s", set);
    else if (config && *config)
        snprintf(out, size, "%s/penstock/config.yaml", config);
    else
        snprintf(out, size, "%s/.config/penstock/config.yaml", home());
}

static bool word_known(const char *word, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(word, known[i]) == 0)
            return true;
    }
    return false;
}

static status_class keys_check(const yaml_tree *tree, const json_t *object, const char *base,
                               const char *const *known, size_t n, status *st)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        if (word_known(key, known, n))
            continue;
        char pointer[512], where[sizeof st->where];
        snprintf(pointer, sizeof pointer, "%s/%s", base, key);
        yaml_tree_where(tree, pointer, true, where, sizeof where);
        status_at(st, STATUS_INVALID, where, "there is no setting `%s`", key);
        const char *near = name_suggest(key, known, n);
        return near ? status_hint(st, "did you mean `%s`?", near) : STATUS_INVALID;
    }
    return STATUS_OK;
}

static status_class contexts_check(const yaml_tree *tree, status *st)
{
    static const char *const top[] = {"current", "contexts"};
    json_t *root = yaml_tree_root(tree), *one;
    const char *name, *file = yaml_tree_place(tree, "", false).file;
    if (json_is_null(root))
        return STATUS_OK;
    if (!json_is_object(root))
        return status_at(st, STATUS_INVALID, file, "the file must hold `current` and `contexts`");
    if (keys_check(tree, root, "", top, 2, st) != STATUS_OK)
        return st->class;
    json_object_foreach(json_object_get(root, "contexts"), name, one)
    {
        char base[300];
        snprintf(base, sizeof base, "/contexts/%s", name);
        if (!json_is_object(one))
            return status_at(st, STATUS_INVALID, file, "context `%s` must hold url, key and workspace", name);
        if (keys_check(tree, one, base, context_keys, CONTEXT_KEYS, st) != STATUS_OK)
            return st->class;
    }
    return STATUS_OK;
}

static status_class mode_check(const char *path, status *st)
{
    struct stat found;
    if (stat(path, &found) != 0 || (found.st_mode & 077) == 0)
        return STATUS_OK;
    status_at(st, STATUS_DENIED, path, "it holds keys and others may read it (mode %03o)",
              found.st_mode & 0777U);
    return status_hint(st, "chmod 600 %s", path);
}

status_class context_read(const char *path, context *c, status *st)
{
    memset(c, 0, sizeof *c);
    c->name = c->url = c->key = c->workspace = "";
    snprintf(c->path, sizeof c->path, "%s", path);
    if (!disk_exists(path)) {
        c->file = json_pack("{s:s,s:{}}", "current", "default", "contexts");
        return STATUS_OK;
    }
    yaml_tree *tree = NULL;
    if (mode_check(path, st) != STATUS_OK || yaml_tree_read(path, &tree, st) != STATUS_OK)
        return st->class;
    status_class class = contexts_check(tree, st);
    if (class == STATUS_OK) {
        json_t *root = yaml_tree_root(tree);
        c->file = json_is_object(root) ? json_deep_copy(root) : json_object();
        if (!json_is_object(json_object_get(c->file, "contexts")))
            json_object_set_new(c->file, "contexts", json_object());
        if (!json_is_string(json_object_get(c->file, "current")))
            json_object_set_new(c->file, "current", json_string("default"));
    }
    yaml_tree_free(tree);
    return class;
}

static void add_pair(text *out, const char *indent, const char *key, const char *value)
{
    text_printf(out, "%s", indent);
    text_add_json_string(out, key, strlen(key));
    text_add(out, ": ");
    text_add_json_string(out, value, strlen(value));
    text_add(out, "\n");
}

static status_class folder_of(const char *path, status *st)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash || slash == folder)
        return STATUS_OK;
    *slash = '\0';
    return disk_make_folder(folder, 0700, st);
}

status_class context_write(const context *c, status *st)
{
    text out = {0};
    const char *name, *key;
    json_t *one, *value;
    add_pair(&out, "", "current", json_string_value(json_object_get(c->file, "current")));
    text_add(&out, "\"contexts\":\n");
    json_object_foreach(json_object_get(c->file, "contexts"), name, one)
    {
        text_add(&out, "  ");
        text_add_json_string(&out, name, strlen(name));
        text_add(&out, json_object_size(one) ? ":\n" : ": {}\n");
        json_object_foreach(one, key, value)
        {
            if (json_is_string(value))
                add_pair(&out, "    ", key, json_string_value(value));
        }
    }
    status_class class = folder_of(c->path, st);
    if (class == STATUS_OK)
        class = disk_write(c->path, out.data, out.len, 0600, st);
    text_free(&out);
    return class;
}

void context_put(context *c, const char *name, const char *url, const char *key, const char *workspace,
                 bool use)
{
    json_t *contexts = json_object_get(c->file, "contexts"), *one = json_object_get(contexts, name);
    if (!json_is_object(one)) {
        one = json_object();
        json_object_set_new(contexts, name, one);
    }
    const char *values[CONTEXT_KEYS] = {url, key, workspace};
    for (size_t i = 0; i < CONTEXT_KEYS; i++) {
        if (values[i])
            json_object_set_new(one, context_keys[i], json_string(values[i]));
    }
    if (use)
        json_object_set_new(c->file, "current", json_string(name));
}

void context_release(context *c)
{
    if (!c)
        return;
    json_decref(c->file);
    c->file = NULL;
}

/* Flag, then environment, then file, then `otherwise`. */
static const char *in_force(const char *flagged, const char *variable, const json_t *one, const char *key,
                            const char *otherwise)
{
    if (flagged)
        return flagged;
    const char *set = variable ? getenv(variable) : NULL;
    if (set && *set)
        return set;
    const char *kept = json_string_value(json_object_get(one, key));
    return kept ? kept : otherwise;
}

static status_class context_choose(const invocation *inv, context *c, status *st)
{
    json_t *contexts = json_object_get(c->file, "contexts");
    const char *asked = flag_text(inv, "context", NULL);
    c->name = asked ? asked : json_string_value(json_object_get(c->file, "current"));
    const json_t *one = json_object_get(contexts, c->name);
    if (asked && !one) {
        status_at(st, STATUS_NOT_FOUND, c->path, "there is no context `%s`", asked);
        return status_hint(st, "penstock context list");
    }
    c->url = in_force(flag_text(inv, "url", NULL), "PENSTOCK_URL", one, "url", "");
    c->key = in_force(NULL, "PENSTOCK_KEY", one, "key", "");
    c->workspace = in_force(flag_text(inv, "workspace", NULL), "PENSTOCK_WORKSPACE", one, "workspace", "");
    return STATUS_OK;
}

context *context_of(invocation *inv, status *st)
{
    if (inv->context)
        return inv->context;
    char path[4096];
    context_path(path, sizeof path);
    context *c = memory_zero(1, sizeof *c);
    if (context_read(path, c, st) != STATUS_OK || context_choose(inv, c, st) != STATUS_OK) {
        context_release(c);
        free(c);
        return NULL;
    }
    inv->context = c;
    return c;
}

const char *workspace_of(invocation *inv, status *st)
{
    const context *c = context_of(inv, st);
    if (!c)
        return NULL;
    if (*c->workspace)
        return c->workspace;
    complaint_of_usage();
    status_set(st, STATUS_INVALID, "which workspace?");
    status_hint(st, "name it with -w, or keep one: penstock context add %s --workspace WS", c->name);
    return NULL;
}
