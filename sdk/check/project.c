/* Unknown keys are refused: a mistyped one would silently check nothing. */
#include "check/project.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/name.h"

#define FILE_MAX_BYTES (4UL << 20)

static const char *const known[] = {"config",   "far_side", "program",    "clock",      "input",
                                    "inputs",   "train",    "definition", "parameters", "message",
                                    "expected", "rows",     "order",      "answer"};

static status_class read_object(const char *path, json_t **out, status *st)
{
    text content = {0};
    json_error_t wrong;
    if (disk_read(path, FILE_MAX_BYTES, &content, st) != STATUS_OK)
        return st->class;
    *out = json_loadb(text_or_empty(&content), content.len, JSON_REJECT_DUPLICATES, &wrong);
    text_free(&content);
    if (json_is_object(*out))
        return STATUS_OK;
    status_set(st, STATUS_INVALID, "%s is no JSON object: %s", path,
               *out ? "it is something else" : wrong.text);
    if (!*out)
        snprintf(st->where, sizeof st->where, "%s:%d:%d", path, wrong.line, wrong.column);
    json_decref(*out);
    *out = NULL;
    return st->class;
}

static void folder_find(const char *object, const char *given, char out[4096])
{
    char path[4200];
    char *real = given ? realpath(given, NULL) : NULL;
    snprintf(out, 4096, "%s", real ? real : given ? given : object);
    free(real);
    if (given)
        return;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(out, '/');
        *(slash && slash != out ? slash : out + 1) = '\0';
        snprintf(path, sizeof path, "%s/check.json", out);
        if (disk_exists(path))
            return;
    }
    snprintf(out, 4096, "%s", object);
    *strrchr(out, '/') = '\0';
}

static status_class keys_check(const json_t *check, status *st)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)check, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || !strcmp(known[i], key);
        if (found)
            continue;
        const char *near = name_suggest(key, known, sizeof known / sizeof *known);
        status_at(st, STATUS_INVALID, "check.json", "there is no setting %s", key);
        return near ? status_hint(st, "did you mean %s?", near) : st->class;
    }
    return STATUS_OK;
}

/* The file in the folder, or an empty object if it is not there. */
static status_class optional(const project *p, const char *name, json_t **out, status *st)
{
    char path[4200];
    project_path(p, name, path, sizeof path);
    if (disk_exists(path))
        return read_object(path, out, st);
    *out = json_object();
    return STATUS_OK;
}

static status_class quirks_check(const json_t *quirks, status *st)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)quirks, key, value)
    {
        if (!json_is_string(value) || !*json_string_value(value))
            return status_at(st, STATUS_INVALID, "quirks.json", "the quirk %s has no reason", key);
    }
    return STATUS_OK;
}

status_class project_read(const char *object, const char *folder, const char *config, const char *quirks,
                          project *out, status *st)
{
    memset(out, 0, sizeof *out);
    folder_find(object, folder, out->folder);
    status_class class = optional(out, "check.json", &out->check, st);
    if (class == STATUS_OK)
        class = keys_check(out->check, st);
    if (class == STATUS_OK)
        class =
            quirks ? read_object(quirks, &out->quirks, st) : optional(out, "quirks.json", &out->quirks, st);
    if (class == STATUS_OK)
        class = quirks_check(out->quirks, st);
    json_t *given = NULL;
    if (class == STATUS_OK && config)
        class = read_object(config, &given, st);
    if (given)
        json_object_set_new(out->check, "config", given);
    return class;
}

void project_free(project *p)
{
    json_decref(p->check);
    json_decref(p->quirks);
    memset(p, 0, sizeof *p);
}

void project_path(const project *p, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", *name == '/' ? "" : p->folder, *name == '/' ? "" : "/", name);
}

const char *project_text(const project *p, const char *key)
{
    return json_string_value(json_object_get(p->check, key));
}
