/* Children are lists in document order: looking up a pointer walks them, which is cheap for the few errors of
 * a report and costs nothing while all is well. Recursion is bounded by YAML_DEPTH_MAX. */
#include "config/yaml_place.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

yaml_node *yaml_place_root(arena *a, const char *file)
{
    yaml_node *n = arena_zero(a, 1, sizeof *n);
    *n = (yaml_node){.file = arena_string(a, file), .line = 1, .column = 1, .key_line = 1, .key_column = 1};
    return n;
}

yaml_node *yaml_place_add(arena *a, yaml_node *parent, const char *key, uint32_t line, uint32_t column)
{
    yaml_node *n = arena_zero(a, 1, sizeof *n);
    *n = (yaml_node){.key = key,
                     .file = parent->file,
                     .line = line,
                     .column = column,
                     .key_line = line,
                     .key_column = column};
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    return n;
}

const yaml_node *yaml_place_child(const yaml_node *parent, const char *key, size_t len)
{
    for (const yaml_node *n = parent->first; n; n = n->next)
        if (n->key && strlen(n->key) == len && memcmp(n->key, key, len) == 0)
            return n;
    return NULL;
}

static const yaml_node *child_at(const yaml_node *parent, const char *token)
{
    char *end;
    unsigned long index = strtoul(token, &end, 10);
    const yaml_node *n = *token && !*end ? parent->first : NULL;
    while (n && index-- > 0)
        n = n->next;
    return n;
}

/* One step down; `token` is the unescaped piece between two slashes. */
static const yaml_node *step(const yaml_node *parent, const char *token, size_t len)
{
    if (!parent->first)
        return NULL;
    return parent->first->key ? yaml_place_child(parent, token, len) : child_at(parent, token);
}

static size_t unescape(const char *from, size_t len, char *to)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool escaped = from[i] == '~' && i + 1 < len && (from[i + 1] == '0' || from[i + 1] == '1');
        to[n++] = !escaped ? from[i] : from[++i] == '0' ? '~' : '/';
    }
    to[n] = '\0';
    return n;
}

const yaml_node *yaml_place_find(const yaml_node *root, const char *pointer)
{
    char token[1100];
    const yaml_node *at = root;
    while (*pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        if (len >= sizeof token)
            break;
        const yaml_node *below = step(at, token, unescape(pointer, len, token));
        if (!below)
            break;
        at = below;
        pointer += len;
    }
    return at;
}

size_t yaml_place_count(const yaml_node *root)
{
    size_t count = 0;
    for (const yaml_node *n = root->first; n; n = n->next)
        count += 1 + yaml_place_count(n);
    return count;
}

unsigned yaml_place_height(const yaml_node *root)
{
    unsigned most = 0;
    for (const yaml_node *n = root->first; n; n = n->next) {
        unsigned h = yaml_place_height(n) + 1;
        most = h > most ? h : most;
    }
    return most;
}

void yaml_place_copy(arena *a, const yaml_node *from, yaml_node *to)
{
    for (const yaml_node *n = from->first; n; n = n->next) {
        yaml_node *copy = yaml_place_add(a, to, n->key, n->line, n->column);
        copy->key_line = n->key_line;
        copy->key_column = n->key_column;
        copy->inset = n->inset;
        yaml_place_copy(a, n, copy);
    }
}
