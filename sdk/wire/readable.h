/* The files that a cell may read by itself, besides its plugin: what the loader and the C library need, and
 * for plugins with a network the public certificates and the network's tables. The cell's Landlock rules and
 * the broker go by this one list. */
#ifndef PENSTOCK_WIRE_READABLE_H
#define PENSTOCK_WIRE_READABLE_H
#include <stdbool.h>
#include <stddef.h>

typedef struct readable_path {
    const char *path;
    bool folder;
} readable_path;

const readable_path *readable_list(bool network, size_t *n_out);
/* Files that libraries look for but live well without: not there for a plugin, and no denial. */
bool readable_quiet(const char *path);
#endif
