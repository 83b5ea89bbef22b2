/* When something is due: `every` (aligned to the epoch, so that all hosts agree) or five-field cron. A rule
 * is parsed once; asking for the next time allocates nothing. Thread-safe. */
#ifndef PENSTOCK_CONTROL_SCHEDULE_H
#define PENSTOCK_CONTROL_SCHEDULE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "control/definition.h"
#include "control/zone.h"

typedef struct cron_rule {
    uint64_t minutes;                       /* bit 0 = minute 0 */
    uint32_t hours, days, months, weekdays; /* days from bit 1, months from bit 1, weekdays Sunday = bit 0 */
    bool
        fixed; /* neither the minute nor the hour has a `*`: a time of day, run once whatever the clocks do */
    bool any_day, any_weekday; /* the field began with `*`: only the other one counts */
} cron_rule;

/* minute hour day-of-month month day-of-week; lists, ranges, steps, JAN–DEC, SUN–SAT, 7 = Sunday; @hourly,
 * @daily, @weekly, @monthly, @yearly. With both day fields given, either may match, as cron
 * has always done. */
status_class cron_parse(const char *expression, cron_rule *ret, status *st);
/* Whether the rule can fire at all (31 February cannot). */
bool cron_fires(const cron_rule *rule);
/* The first time after `after_us`, by the clocks of the zone; INT64_MAX if it never fires. Over a clock
 * change as in Debian's cron: a time of day that is skipped runs at the first minute after the gap, one that
 * comes twice runs once; every other rule fires whenever the local clock reads a matching minute. */
int64_t cron_next(const cron_rule *rule, int64_t after_us, const zone *z);

/* The first time after `after_us` at which the rule is due: `every` (multiples since 1970) or cron in its
 * time zone. *ret INT64_MAX: it has no schedule, or never fires. */
status_class schedule_next(const schedule_rule *rule, int64_t after_us, int64_t *ret, status *st);
#endif
