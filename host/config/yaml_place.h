/* Where every value of a YAML tree stands: a tree of places beside the tree of values, looked up by JSON
 * Pointer only when something is wrong. Lives in the arena it is given; immutable once built. */
#ifndef PENSTOCK_CONFIG_YAML_PLACE_H
#define PENSTOCK_CONFIG_YAML_PLACE_H
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

#define YAML_LITERAL 255

typedef struct yaml_node yaml_node;
struct yaml_node {
    const char *key; /* NULL in a sequence and for the root */
    const char *file;
    uint32_t line, column, key_line, key_column; /* from 1 */
    /* columns from (line, column) to the text itself: 1 in quotes; YAML_LITERAL for a `|` block */
    uint8_t inset;
    yaml_node *first, *last, *next;
};

yaml_node *yaml_place_root(arena *a, const char *file);
/* Appends a child; `key` (NULL in a sequence) is borrowed. */
yaml_node *yaml_place_add(arena *a, yaml_node *parent, const char *key, uint32_t line, uint32_t column);
const yaml_node *yaml_place_child(const yaml_node *parent, const char *key, size_t len);
/* The node at the JSON Pointer, or its nearest ancestor that exists. */
const yaml_node *yaml_place_find(const yaml_node *root, const char *pointer);
size_t yaml_place_count(const yaml_node *root);    /* without the root itself */
unsigned yaml_place_height(const yaml_node *root); /* 0 = no children */
/* Hangs copies of from's children under `to`. */
void yaml_place_copy(arena *a, const yaml_node *from, yaml_node *to);
#endif
