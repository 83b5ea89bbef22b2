/* Time zones from the system's IANA database (/usr/share/zoneinfo, TZif version 2 or later with its POSIX
 * footer): how far a zone is ahead of UTC at a moment, and when that changes next. A zone is read once, kept
 * for the life of the process and immutable; any thread. Needed only where no database is at hand: schedules.
 */
#ifndef PENSTOCK_CONTROL_ZONE_H
#define PENSTOCK_CONTROL_ZONE_H
#include <stdint.h>

#include "base/status.h"

#define ZONE_NAME_MAX 64

typedef struct zone zone;

/* NULL or "UTC" is UTC. STATUS_NOT_FOUND: there is no such zone. Blocks on the first use of a name. */
status_class zone_find(const char *name, const zone **ret, status *st);
const char *zone_name(const zone *z);
int64_t zone_offset_us(const zone *z, int64_t at_us);
/* The first change after `at_us`; INT64_MAX if there is none. */
int64_t zone_next_change(const zone *z, int64_t at_us);
/* The moment of a local reading. One that comes twice: the first. One that is skipped: the moment of the
 * change. */
int64_t zone_moment(const zone *z, int64_t local_us);
#endif
