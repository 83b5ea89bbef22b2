#include "schema/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "schema/document.h"
#include "schema/validate.h"

#define SUITE_FOLDERS_MAX 16 /* inside each other */

static bool ends_in_json(const char *name)
{
    size_t len = strlen(name);
    return len > 5 && strcmp(name + len - 5, ".json") == 0;
}

static status_class load_remote(schema_registry *registry, const char *path, const char *relative, status *st)
{
    json_t *document = document_read(path, st);
    if (!document)
        return st->class;
    text uri = {0};
    text_printf(&uri, "%s%s", SUITE_REMOTE_BASE, relative);
    schema_registry_add(registry, uri.data, document);
    text_free(&uri);
    json_decref(document);
    return STATUS_OK;
}

static status_class load_folder(schema_registry *registry, const char *folder, const char *prefix,
                                unsigned depth, status *st)
{
    DIR *dir = depth < SUITE_FOLDERS_MAX ? opendir(folder) : NULL;
    if (!dir)
        return status_set(st, STATUS_NOT_FOUND, "remote schemas: cannot open the folder %s", folder);
    status_class class = STATUS_OK;
    for (struct dirent *entry; class == STATUS_OK && (entry = readdir(dir));) {
        struct stat info;
        text path = {0}, relative = {0};
        text_printf(&path, "%s/%s", folder, entry->d_name);
        text_printf(&relative, "%s%s", prefix, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path.data, &info) == 0) {
            if (S_ISDIR(info.st_mode)) {
                text_add_char(&relative, '/');
                class = load_folder(registry, path.data, relative.data, depth + 1, st);
            } else if (ends_in_json(entry->d_name)) {
                class = load_remote(registry, path.data, relative.data, st);
            }
        }
        text_free(&path);
        text_free(&relative);
    }
    closedir(dir);
    return class;
}

status_class suite_load_remotes(schema_registry *registry, const char *folder, status *st)
{
    return load_folder(registry, folder, "", 0, st);
}

typedef struct suite_run {
    const suite_options *options;
    suite_counts *counts;
    const char *file;
} suite_run;

static void report(const suite_run *r, const json_t *group, const json_t *test, const char *problem)
{
    const suite_case failed = {
        .file = r->file,
        .group = json_string_value(json_object_get(group, "description")),
        .test = json_string_value(json_object_get(test, "description")),
        .expected = json_is_true(json_object_get(test, "valid")),
        .problem = problem,
    };
    if (r->options->on_failed)
        r->options->on_failed(r->options->self, &failed);
}

static void run_test(const suite_run *r, const schema *s, const json_t *group, const json_t *test)
{
    status st = {.text = ""};
    bool expected = json_is_true(json_object_get(test, "valid"));
    status_class class = schema_validate(s, json_object_get(test, "data"), NULL, &st);
    if (class == (expected ? STATUS_OK : STATUS_INVALID)) {
        r->counts->passed++;
        return;
    }
    char problem[600];
    snprintf(problem, sizeof problem, "valid: %s expected; %s", expected ? "true" : "false",
             class == STATUS_OK ? "found valid" : st.text);
    r->counts->failed++;
    report(r, group, test, problem);
}

static bool group_is_sound(const json_t *group)
{
    const json_t *tests = json_object_get(group, "tests");
    size_t i;
    json_t *test;
    if (!json_object_get(group, "schema") || !json_is_array(tests))
        return false;
    json_array_foreach((json_t *)tests, i, test)
    {
        if (!json_object_get(test, "data") || !json_is_boolean(json_object_get(test, "valid")))
            return false;
    }
    return true;
}

static void run_group(const suite_run *r, const json_t *group)
{
    status st;
    const schema_options options = {
        .draft = r->options->draft,
        .format_annotation = !r->options->format_assertion,
        .registry = r->options->remotes,
    };
    const json_t *tests = json_object_get(group, "tests");
    schema *s = schema_compile(json_object_get(group, "schema"), &options, &st);
    if (!s) {
        r->counts->failed += (uint32_t)json_array_size(tests);
        report(r, group, NULL, st.text);
        return;
    }
    for (size_t i = 0; i < json_array_size(tests); i++)
        run_test(r, s, group, json_array_get(tests, i));
    schema_free(s);
}

status_class suite_run_file(const char *path, const suite_options *options, suite_counts *counts, status *st)
{
    const suite_run r = {.options = options, .counts = counts, .file = path};
    json_t *groups = document_read(path, st);
    status_class class = STATUS_OK;
    if (!groups)
        return st->class;
    if (!json_is_array(groups))
        class = status_set(st, STATUS_INVALID, "%s: a list of test groups is needed", path);
    for (size_t i = 0; i < json_array_size(groups) && class == STATUS_OK; i++) {
        if (group_is_sound(json_array_get(groups, i)))
            run_group(&r, json_array_get(groups, i));
        else
            class = status_set(st, STATUS_INVALID, "%s: group %zu is not {schema, tests: [{data, valid}]}",
                               path, i);
    }
    json_decref(groups);
    return class;
}
