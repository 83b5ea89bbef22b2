/* The generation store's copies of shared objects: <state>/plugins/<hash>.so, read-only, synced, named after
 * their content (BLAKE2b-256). What cells load is always such a copy, so that an operator may do to the file
 * in the plugin folder what he likes. Private to host/plugin. Blocks. */
#ifndef PENSTOCK_PLUGIN_PLUGIN_COPY_H
#define PENSTOCK_PLUGIN_PLUGIN_COPY_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"

#define COPY_HASH_TEXT 65
#define COPY_PATH_BYTES 4096

/* Reads a file of the plugin folder. INVALID: a symbolic link, not a plain file, changed while it was read;
 * LIMIT: too large. */
status_class copy_read_source(const char *file, text *bytes, status *st);
void copy_hash(const void *data, size_t len, char out[COPY_HASH_TEXT]);
void copy_path(const char *store, const char *hash, char out[COPY_PATH_BYTES]);
/* Makes it, if it is not there with this very content. */
status_class copy_keep(const char *store, const void *data, size_t len, const char *hash, status *st);
/* INVALID: what lies there has another content; NOT_FOUND: nothing does. */
status_class copy_verify(const char *store, const char *hash, status *st);
/* Deletes the copies that `wanted` refuses. */
void copy_prune(const char *store, bool (*wanted)(void *arg, const char *hash), void *arg);
#endif
