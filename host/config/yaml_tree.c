/* The files of a folder are trees of their own; merging hangs their sections under one root. */
#include "config/yaml_tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/disk.h"
#include "base/text.h"
#include "config/yaml_tree_private.h"

yaml_tree *yaml_tree_create(const char *file)
{
    yaml_tree *t = memory_zero(1, sizeof *t);
    t->arena = arena_create(0);
    t->places = yaml_place_root(t->arena, file);
    return t;
}

void yaml_tree_free(yaml_tree *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_parts; i++)
        yaml_tree_free(t->parts[i]);
    free(t->parts);
    json_decref(t->root);
    arena_free(t->arena);
    free(t);
}

json_t *yaml_tree_root(const yaml_tree *t)
{
    return t->root;
}

/* ---- places ---- */

yaml_place yaml_tree_place(const yaml_tree *t, const char *pointer, bool of_key)
{
    const yaml_node *n = yaml_place_find(t->places, pointer);
    return (yaml_place){n->file, of_key ? n->key_line : n->line, of_key ? n->key_column : n->column};
}

void yaml_tree_where(const yaml_tree *t, const char *pointer, bool of_key, char *out, size_t size)
{
    yaml_place p = yaml_tree_place(t, pointer, of_key);
    snprintf(out, size, "%s:%u:%u", p.file, p.line, p.column);
}

/* A `|` block begins on the next line; libyaml drops its indentation, which is taken to be two blanks. */
void yaml_tree_where_inside(const yaml_tree *t, const char *pointer, unsigned line, unsigned column,
                            char *out, size_t size)
{
    const yaml_node *n = yaml_place_find(t->places, pointer);
    bool literal = n->inset == YAML_LITERAL;
    unsigned first = literal ? n->key_column + 2 : n->column + n->inset;
    bool shifted = literal || line <= 1;
    snprintf(out, size, "%s:%u:%u", n->file, n->line + line - !literal,
             shifted ? first + column - 1 : column);
}

/* ---- files and folders ---- */

static status_class read_file(const char *path, size_t limit, yaml_tree **ret, size_t *ret_bytes, status *st)
{
    text content = {0};
    status_class class = disk_read(path, limit, &content, st);
    if (class == STATUS_OK)
        class = yaml_tree_parse(path, text_or_empty(&content), content.len, ret, st);
    *ret_bytes = content.len;
    text_free(&content);
    return class;
}

static int is_yaml_file(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');
    return e->d_name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static status_class fail_twice(const yaml_node *second, const yaml_node *first, status *st)
{
    char where[sizeof st->where];
    snprintf(where, sizeof where, "%s:%u:%u", second->file, second->key_line, second->key_column);
    return status_at(st, STATUS_INVALID, where, "the key \"%.60s\" stands twice, first in %s:%u", second->key,
                     first->file, first->key_line);
}

/* Hangs one member of a part under the merged tree; a section that is there already takes the part's members.
 */
static status_class graft(yaml_tree *t, json_t *into, yaml_node *place, const yaml_node *from, json_t *value,
                          bool sections, status *st)
{
    json_t *there = json_object_get(into, from->key);
    yaml_node *at = (yaml_node *)yaml_place_child(place, from->key, strlen(from->key));
    if (there && !(sections && json_is_object(there) && json_is_object(value)))
        return fail_twice(from, at, st);
    if (!there) {
        yaml_node *own = yaml_place_add(t->arena, place, from->key, from->key_line, from->key_column);
        yaml_node *next = own->next;
        *own = *from;
        own->next = next;
        json_object_set_new(into, from->key,
                            sections && json_is_object(value) ? json_copy(value) : json_incref(value));
        return STATUS_OK;
    }
    status_class class = STATUS_OK;
    for (const yaml_node *n = from->first; n && class == STATUS_OK; n = n->next)
        class = graft(t, there, at, n, json_object_get(value, n->key), false, st);
    return class;
}

static status_class merge_part(yaml_tree *t, const yaml_tree *part, status *st)
{
    status_class class = STATUS_OK;
    if (json_is_null(part->root))
        return STATUS_OK;
    if (!json_is_object(part->root))
        return status_at(st, STATUS_INVALID, part->places->file,
                         "the file cannot be merged: it is not a mapping");
    for (const yaml_node *n = part->places->first; n && class == STATUS_OK; n = n->next)
        class = graft(t, t->root, t->places, n, json_object_get(part->root, n->key), true, st);
    return class;
}

static status_class read_parts(yaml_tree *t, const char *path, struct dirent **entries, int n, status *st)
{
    size_t left = YAML_BYTES_MAX;
    t->parts = memory_zero((size_t)n + 1, sizeof(yaml_tree *));
    for (int i = 0; i < n; i++) {
        char file[4096];
        size_t bytes;
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        status_class class = read_file(file, left, &t->parts[t->n_parts], &bytes, st);
        if (class != STATUS_OK)
            return class;
        left -= bytes;
        class = merge_part(t, t->parts[t->n_parts++], st);
        if (class != STATUS_OK)
            return class;
    }
    return STATUS_OK;
}

static status_class read_folder(const char *path, yaml_tree **ret, status *st)
{
    struct dirent **entries = NULL;
    status_class class;
    yaml_tree *t = NULL;
    int n = scandir(path, &entries, is_yaml_file, alphasort);
    if (n < 0) {
        class = status_at(st, STATUS_NOT_FOUND, path, "the folder cannot be read");
    } else if (n > YAML_FILES_MAX) {
        class = status_at(st, STATUS_LIMIT, path, "the folder holds more than %d YAML files", YAML_FILES_MAX);
    } else {
        t = yaml_tree_create(path);
        t->root = json_object();
        class = read_parts(t, path, entries, n, st);
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    if (class != STATUS_OK) {
        yaml_tree_free(t);
        return class;
    }
    *ret = t;
    return STATUS_OK;
}

status_class yaml_tree_read(const char *path, yaml_tree **ret_tree, status *st)
{
    struct stat about;
    size_t bytes;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return read_folder(path, ret_tree, st);
    return read_file(path, YAML_BYTES_MAX, ret_tree, &bytes, st);
}
