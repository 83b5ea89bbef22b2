/* One line that people can read in a log, and that reads back. */
#include "base/limit.h"

#include <inttypes.h>
#include <stdio.h>

status_class limit_put(status *st, const limit *l)
{
    snprintf(st->where, sizeof st->where, "limit %s = %" PRIu64 ", %s, %u s", l->name, l->value, l->set_by,
             l->retry_s);
    return st->class;
}

bool limit_get(const status *st, limit *out)
{
    *out = (limit){.value = 0};
    return sscanf(st->where, "limit %47s = %" SCNu64 ", %15[a-z], %u s", out->name, &out->value, out->set_by,
                  &out->retry_s) == 4;
}
