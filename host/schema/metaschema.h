/* The metaschemas of the drafts, built into the program, so that `$ref` and `$schema` reach them without a
 * network. */
#ifndef PENSTOCK_SCHEMA_METASCHEMA_H
#define PENSTOCK_SCHEMA_METASCHEMA_H
#include <jansson.h>

/* A new reference to a fresh copy, or NULL if the URI (without fragment) names none. */
json_t *metaschema_find(const char *uri);
#endif
