/* Compares two effective definitions of a workspace and says what would change, object by object: is it an
 * addition, a change that live rows survive, a removal, or something that this template version may not do?
 *
 * Within a major version of the template everything must be additive: tables only gain nullable columns, no
 * row that was accepted becomes unacceptable, nothing that others may rely on (stores, metrics, their
 * parameters) disappears. A new major version may remove; what it declares under an old key must still fit
 * the table that is there. The local layer may always remove its own. Removals of stores take their rows with
 * them: destructive, and marked so. */
#ifndef PENSTOCK_CONTROL_EVOLUTION_H
#define PENSTOCK_CONTROL_EVOLUTION_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "control/definition.h"

typedef enum plan_action { PLAN_ADD, PLAN_CHANGE, PLAN_REMOVE, PLAN_REFUSE } plan_action;

typedef struct plan_change {
    plan_action action;
    object_class class;
    const char *key;
    bool destructive;   /* rows are lost */
    bool rewrite;       /* the table is rewritten (integer → number) */
    const char *reason; /* NULL = nothing more to say */
} plan_change;

typedef struct evolution {
    const plan_change *changes;
    uint32_t n_changes;
    uint32_t n_of[4]; /* by action */
    bool refused, destructive, rewrite;
} evolution;

/* `from` NULL = the workspace is new. Everything lives in the arena; definitions are only read. */
const evolution *evolution_plan(const definition *from, const definition *to, arena *a);
/* One line an object, `+ ~ - !`, and a line of counts. */
void evolution_text(const evolution *e, text *out);
/* {changes: [{action, class, key, destructive, rewrite, reason}], added, changed, removed, refused}; a new
 * reference. */
json_t *evolution_json(const evolution *e);
#endif
