/* YAML as a JSON tree that remembers where everything stood.
 *
 * libyaml's events become jansson values; scalars are resolved here by the YAML 1.2 core schema (only true,
 * false, null and numbers are special: `on`, `no`, `12:30` are text). Duplicate keys, more than one document,
 * anchors and aliases, tags and everything over a named limit are errors. Beside the values lies a tree of
 * places, so a JSON Pointer into the values gives file:line:column. A folder is read as one tree: its *.yaml
 * and *.yml files in the order of their names, top-level sections merged, a key that stands twice is an
 * error.
 *
 * A tree is immutable after reading; any thread may read it. Values are borrowed and live as long as the
 * tree, unless the caller takes a reference of its own (json_incref). Reading blocks (files): worker lanes
 * and start-up only. */
#ifndef PENSTOCK_CONFIG_YAML_TREE_H
#define PENSTOCK_CONFIG_YAML_TREE_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define YAML_BYTES_MAX (4u << 20) /* of one file, and of all files of a folder */
#define YAML_DEPTH_MAX 64         /* nested mappings and sequences */
#define YAML_NODES_MAX 200000     /* values in one tree */
#define YAML_KEY_MAX 1024         /* bytes of one key (what YAML 1.2 lets an implicit key have) */
#define YAML_FILES_MAX 200        /* files in one folder */

typedef struct yaml_tree yaml_tree;

typedef struct yaml_place {
    const char *file;      /* as given, or folder/name; lives as long as the tree */
    uint32_t line, column; /* from 1; columns count characters */
} yaml_place;

/* Text from memory; `file` is only for messages. Errors are STATUS_INVALID or STATUS_LIMIT with `where` set.
 */
status_class yaml_tree_parse(const char *file, const char *data, size_t len, yaml_tree **ret_tree,
                             status *st);
/* A file, or a folder whose files are merged. */
status_class yaml_tree_read(const char *path, yaml_tree **ret_tree, status *st);
void yaml_tree_free(yaml_tree *t); /* NULL is fine */

json_t *yaml_tree_root(const yaml_tree *t); /* borrowed; JSON null for an empty file */

/* Where the value at the JSON Pointer stands (""= the root); if there is none, its nearest ancestor that
 * exists. With `of_key` the place of the key that leads to it. */
yaml_place yaml_tree_place(const yaml_tree *t, const char *pointer, bool of_key);
/* The same as "file:line:column". */
void yaml_tree_where(const yaml_tree *t, const char *pointer, bool of_key, char *out, size_t size);
/* A place inside a text, by its own lines and columns (from 1): for errors in SQL. Exact for texts on one
 * line, and for `|` blocks that are indented by two. */
void yaml_tree_where_inside(const yaml_tree *t, const char *pointer, unsigned line, unsigned column,
                            char *out, size_t size);
#endif
