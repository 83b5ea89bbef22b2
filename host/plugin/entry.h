/* Entries of the catalog: made from what a probe said, immutable, counted. Private to host/plugin. */
#ifndef PENSTOCK_PLUGIN_ENTRY_H
#define PENSTOCK_PLUGIN_ENTRY_H
#include "plugin/catalog.h"
#include "schema/compile.h"

/* INVALID if the description or its config schema cannot be used. The new entry has one holder. */
status_class entry_make(const char *file, const char *path, const char *hash, const json_t *said,
                        const plugin_entry **entry_out, status *st);
/* A file that cannot be used; hash may be NULL. */
const plugin_entry *entry_make_broken(const char *file, const char *hash, const char *why);
const schema *entry_schema(const plugin_entry *entry);
#endif
