/* What a definition is made of, kept as small as it can be, so that the definition itself can go while nobody
 * needs it and be made again. A seed is the workspace's names and its documents as texts; what is the same in
 * many workspaces (the template, the columns of its featurestores) is kept once for all of them. Immutable;
 * any thread. */
#ifndef PENSTOCK_CONTROL_DEFINITION_SEED_H
#define PENSTOCK_CONTROL_DEFINITION_SEED_H
#include "control/definition.h"

typedef struct definition_seed definition_seed;

definition_seed *definition_seed_take(const definition *d);
void definition_seed_free(definition_seed *s); /* NULL is fine */
/* The same definition again, with one reference for the caller. It was made of this before, so it fails only
 * when something outside has changed: the machine's time zones. */
status_class definition_seed_grow(const definition_seed *s, const definition **ret, status *st);
#endif
