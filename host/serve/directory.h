/* The workspaces of this host by name, in memory: a request's {ws} is looked up on the loop thread, which
 * must not ask a database. Whoever loads, changes or removes a workspace says so here. Thread-safe. */
#ifndef PENSTOCK_SERVE_DIRECTORY_H
#define PENSTOCK_SERVE_DIRECTORY_H
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

typedef struct directory directory;

typedef struct directory_entry {
    int32_t wid;
    const char *key, *id; /* slug and ws_ id */
    bool paused;          /* rows are refused */
} directory_entry;

directory *directory_create(void);
void directory_free(directory *d); /* NULL is fine */
/* Adds, or replaces what is known of that wid. Copied. */
void directory_put(directory *d, const directory_entry *entry);
void directory_remove(directory *d, int32_t wid);
/* By slug or id; 0 = there is none. */
int32_t directory_find(directory *d, const char *name);
bool directory_paused(directory *d, int32_t wid);
#endif
