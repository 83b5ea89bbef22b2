/* Two small lists that are searched from the front: a host has dozens of plugins. */
#include "plugin/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/disk.h"

/* ---- Lines ---- */

generation_line *generations_find(generations *g, const char *id)
{
    for (size_t i = 0; i < g->n_lines; i++)
        if (!strcmp(g->lines[i].id, id))
            return &g->lines[i];
    return NULL;
}

generation_line *generations_add(generations *g, const char *id)
{
    g->lines = memory_grow(g->lines, (g->n_lines + 1) * sizeof *g->lines);
    g->lines[g->n_lines] = (generation_line){.id = memory_string(id)};
    return &g->lines[g->n_lines++];
}

static void generation_set(generation *to, const char *hash, const char *version, int64_t now_us)
{
    *to = (generation){.since_us = now_us};
    snprintf(to->hash, sizeof to->hash, "%s", hash);
    snprintf(to->version, sizeof to->version, "%s", version ? version : "");
}

static void forget_refusal(generation_line *line)
{
    free(line->refused_why);
    line->refused_why = NULL;
    line->refused = (generation){0};
}

void generation_advance(generation_line *line, const char *hash, const char *version, int64_t now_us)
{
    if (strcmp(line->current.hash, hash) != 0) {
        if (*line->current.hash)
            line->previous = line->current;
        generation_set(&line->current, hash, version, now_us);
    }
    line->pinned = false;
    forget_refusal(line);
}

void generation_refuse(generation_line *line, const char *hash, const char *version, const char *why,
                       int64_t now_us)
{
    free(line->refused_why);
    line->refused_why = memory_string(why);
    generation_set(&line->refused, hash, version, now_us);
}

static generation_holdback *holdback_find(const generation_line *line, const char *workspace,
                                          const char *instance)
{
    for (size_t i = 0; i < line->n_holdbacks; i++)
        if (!strcmp(line->holdbacks[i].workspace, workspace) &&
            !strcmp(line->holdbacks[i].instance, instance))
            return &line->holdbacks[i];
    return NULL;
}

const generation_holdback *generation_held_back(const generation_line *line, const char *workspace,
                                                const char *instance)
{
    return holdback_find(line, workspace, instance);
}

static void holdback_clear(generation_holdback *h)
{
    free(h->workspace);
    free(h->instance);
    free(h->why);
}

void generation_let_go(generation_line *line, const char *workspace, const char *instance)
{
    generation_holdback *h = holdback_find(line, workspace, instance);
    if (!h)
        return;
    holdback_clear(h);
    *h = line->holdbacks[--line->n_holdbacks];
}

void generation_hold_back(generation_line *line, const char *workspace, const char *instance,
                          const char *hash, const char *why)
{
    generation_let_go(line, workspace, instance);
    line->holdbacks = memory_grow(line->holdbacks, (line->n_holdbacks + 1) * sizeof *line->holdbacks);
    generation_holdback *h = &line->holdbacks[line->n_holdbacks++];
    *h = (generation_holdback){.workspace = memory_string(workspace),
                               .instance = memory_string(instance),
                               .why = memory_string(why)};
    snprintf(h->hash, sizeof h->hash, "%s", hash);
}

static bool line_uses(const generation_line *line, const char *hash)
{
    bool used = !strcmp(line->current.hash, hash) || !strcmp(line->previous.hash, hash) ||
                (line->offered && !strcmp(line->offered->hash, hash));
    for (size_t i = 0; i < line->n_holdbacks && !used; i++)
        used = !strcmp(line->holdbacks[i].hash, hash);
    return used;
}

bool generations_use(const generations *g, const char *hash)
{
    for (size_t i = 0; i < g->n_lines; i++)
        if (line_uses(&g->lines[i], hash))
            return true;
    return false;
}

/* ---- Files ---- */

const generation_file *generations_file(const generations *g, const char *path)
{
    for (size_t i = 0; i < g->n_files; i++)
        if (!strcmp(g->files[i].path, path))
            return &g->files[i];
    return NULL;
}

void generations_note_file(generations *g, const char *path, const char *hash, const char *id)
{
    generation_file *f = (generation_file *)generations_file(g, path);
    if (!f) {
        g->files = memory_grow(g->files, (g->n_files + 1) * sizeof *g->files);
        f = &g->files[g->n_files++];
        *f = (generation_file){.path = memory_string(path), .id = memory_string("")};
    }
    snprintf(f->hash, sizeof f->hash, "%s", hash);
    if (id) {
        free(f->id);
        f->id = memory_string(id);
    }
}

/* ---- The document ---- */

static json_t *generation_json(const generation *one)
{
    return *one->hash ? json_pack("{s:s, s:s, s:I}", "hash", one->hash, "version", one->version, "since_us",
                                  (json_int_t)one->since_us)
                      : json_null();
}

static json_t *line_json(const generation_line *line)
{
    json_t *held = json_array();
    for (size_t i = 0; i < line->n_holdbacks; i++) {
        const generation_holdback *h = &line->holdbacks[i];
        json_array_append_new(held, json_pack("{s:s, s:s, s:s, s:s}", "workspace", h->workspace, "instance",
                                              h->instance, "hash", h->hash, "why", h->why));
    }
    return json_pack("{s:o, s:o, s:o, s:s?, s:b, s:b, s:o}", "current", generation_json(&line->current),
                     "previous", generation_json(&line->previous), "refused", generation_json(&line->refused),
                     "refused_why", line->refused_why, "pinned", line->pinned, "unloaded", line->unloaded,
                     "held_back", held);
}

json_t *generations_document(const generations *g)
{
    json_t *plugins = json_object(), *files = json_object();
    for (size_t i = 0; i < g->n_lines; i++)
        json_object_set_new(plugins, g->lines[i].id, line_json(&g->lines[i]));
    for (size_t i = 0; i < g->n_files; i++)
        json_object_set_new(files, g->files[i].path,
                            json_pack("{s:s, s:s}", "hash", g->files[i].hash, "id", g->files[i].id));
    return json_pack("{s:i, s:o, s:o}", "format", 1, "plugins", plugins, "files", files);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static void generation_parse(generation *to, const json_t *from)
{
    if (json_is_object(from))
        generation_set(to, text_of(from, "hash"), text_of(from, "version"),
                       json_integer_value(json_object_get(from, "since_us")));
}

static void line_parse(generation_line *line, const json_t *from)
{
    size_t i;
    json_t *held;
    generation_parse(&line->current, json_object_get(from, "current"));
    generation_parse(&line->previous, json_object_get(from, "previous"));
    generation_parse(&line->refused, json_object_get(from, "refused"));
    if (*line->refused.hash)
        line->refused_why = memory_string(text_of(from, "refused_why"));
    line->pinned = json_is_true(json_object_get(from, "pinned"));
    line->unloaded = json_is_true(json_object_get(from, "unloaded"));
    json_array_foreach(json_object_get(from, "held_back"), i, held)
        generation_hold_back(line, text_of(held, "workspace"), text_of(held, "instance"),
                             text_of(held, "hash"), text_of(held, "why"));
}

static void document_parse(generations *g, json_t *document)
{
    const char *key;
    json_t *one;
    json_object_foreach(json_object_get(document, "plugins"), key, one)
        line_parse(generations_add(g, key), one);
    json_object_foreach(json_object_get(document, "files"), key, one)
        generations_note_file(g, key, text_of(one, "hash"), text_of(one, "id"));
}

status_class generations_read(const char *path, generations *g, status *st)
{
    text source = {0};
    json_error_t wrong;
    *g = (generations){0};
    if (!disk_exists(path))
        return STATUS_OK;
    status_class class = disk_read(path, GENERATION_DOCUMENT_MAX_BYTES, &source, st);
    json_t *document = class == STATUS_OK
                           ? json_loadb(text_or_empty(&source), source.len, JSON_REJECT_DUPLICATES, &wrong)
                           : NULL;
    if (class == STATUS_OK && !document)
        class = status_at(st, STATUS_INVALID, path, "it is no JSON: %s", wrong.text);
    else if (class == STATUS_OK && json_integer_value(json_object_get(document, "format")) != 1)
        class = status_at(st, STATUS_INVALID, path, "its format is not 1");
    if (class == STATUS_OK)
        document_parse(g, document);
    json_decref(document);
    text_free(&source);
    return class;
}

void generations_free(generations *g)
{
    for (size_t i = 0; i < g->n_lines; i++) {
        generation_line *line = &g->lines[i];
        plugin_entry_release(line->entry);
        plugin_entry_release(line->offered);
        for (size_t h = 0; h < line->n_holdbacks; h++)
            holdback_clear(&line->holdbacks[h]);
        free(line->holdbacks);
        free(line->refused_why);
        free(line->id);
    }
    for (size_t i = 0; i < g->n_files; i++) {
        free(g->files[i].path);
        free(g->files[i].id);
    }
    free(g->lines);
    free(g->files);
    *g = (generations){0};
}
