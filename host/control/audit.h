/* Who did what: append-only, written in the transaction of the deed. */
#ifndef PENSTOCK_CONTROL_AUDIT_H
#define PENSTOCK_CONTROL_AUDIT_H
#include <jansson.h>
#include <stdint.h>

#include "store/connection.h"

/* `object` is class:key or a plain noun; `detail` may be NULL (borrowed; never secrets). */
status_class audit_add(connection *c, int32_t wid, const char *actor, const char *verb, const char *object,
                       const json_t *detail, status *st);
/* Newest first, of one workspace (0 = of all), before `before_seq` (0 = now): [{seq, at, wid, actor, verb,
 * object, detail}]; a new reference. */
status_class audit_list(connection *c, int32_t wid, int64_t before_seq, unsigned limit, json_t **ret,
                        status *st);
#endif
