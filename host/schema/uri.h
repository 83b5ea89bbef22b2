/* URI references as RFC 3986 resolves them. All results live in the arena. */
#ifndef PENSTOCK_SCHEMA_URI_H
#define PENSTOCK_SCHEMA_URI_H
#include <stddef.h>

#include "base/arena.h"

/* `reference` against `base` (may be ""), with its fragment. */
char *uri_resolve(arena *a, const char *base, const char *reference);
/* Cuts the fragment off `uri` in place; the fragment percent-decoded ("" if there is none), or NULL if an
 * escape is broken. */
const char *uri_split_fragment(arena *a, char *uri);
#endif
