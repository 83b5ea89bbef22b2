/* Which limit a refusal met: its name (that of the setting, if one sets it), its value, who sets it, and when
 * trying again makes sense. It travels in `status.where`, so that whoever meets the limit says it once and
 * what lies between needs to know nothing of it. */
#ifndef PENSTOCK_BASE_LIMIT_H
#define PENSTOCK_BASE_LIMIT_H
#include <stdbool.h>

#include "base/status.h"

#define LIMIT_BY_PLATFORM "platform"   /* a setting of the host */
#define LIMIT_BY_WORKSPACE "workspace" /* its definition or record */
#define LIMIT_FIXED "fixed"            /* nobody: it is built in */

#define LIMIT_NAME_SIZE 48

typedef struct limit {
    char name[LIMIT_NAME_SIZE];
    uint64_t value;
    char set_by[16];
    unsigned retry_s; /* 0 = that is not known, or trying again cannot help */
} limit;

/* Writes it into the status that was set before; returns its class. */
status_class limit_put(status *st, const limit *l);
/* false = the status names no limit. */
bool limit_get(const status *st, limit *out);
#endif
