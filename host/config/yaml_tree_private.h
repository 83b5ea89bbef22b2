/* What a tree is made of; for the parser (yaml_parse.c) and for what puts a folder's trees together. */
#ifndef PENSTOCK_CONFIG_YAML_TREE_PRIVATE_H
#define PENSTOCK_CONFIG_YAML_TREE_PRIVATE_H
#include "base/arena.h"
#include "config/yaml_place.h"
#include "config/yaml_tree.h"

struct yaml_tree {
    arena *arena;
    json_t *root;
    yaml_node *places;
    yaml_tree **parts; /* of a folder: the files, which own what places borrows */
    size_t n_parts;
};

yaml_tree *yaml_tree_create(const char *file); /* without values; `file` is copied */
#endif
