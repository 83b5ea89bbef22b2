/* Times as other systems write them: by a pattern (`%d.%m.%Y %H:%M`), or ISO 8601 without an offset, read on
 * the clock of a zone. docs/decode.md lists what a pattern may hold. Any thread. */
#ifndef PENSTOCK_FLOW_LOCAL_TIME_H
#define PENSTOCK_FLOW_LOCAL_TIME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "control/zone.h"

#define LOCAL_TIME_PATTERN_MAX 100

/* STATUS_INVALID: something that a pattern cannot hold, or no date in it. */
status_class local_time_check(const char *pattern, status *st);
/* The zone applies where the text has no offset; NULL = UTC. A day without time of day is its first moment.
 */
bool local_time_read(const char *pattern, const zone *z, const char *s, size_t len, int64_t *us_out);
/* "2026-03-28", "2026-03-28T17:00", "…T17:00:59.5" (or a blank for T), without an offset. */
bool local_time_iso(const zone *z, const char *s, size_t len, int64_t *us_out);
#endif
