/* Buckets: how the time of a featurestore is cut into pieces. A fixed width counts from the epoch in UTC
 * (weeks from a Monday); days and longer follow the calendar of a zone, so a day has 23 to 25 hours where the
 * clock changes, a month 28 to 31 days. A calendar bucket begins at the first moment at which the zone's
 * clock reads its boundary, or, where that reading is skipped, at the change that skips it: buckets never
 * overlap and leave nothing out. The same rule as penstock.time_bucket and penstock.bucket_end in the
 * database. Plain data, any thread; times in microseconds UTC. */
#ifndef PENSTOCK_CONTROL_BUCKET_H
#define PENSTOCK_CONTROL_BUCKET_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "control/zone.h"

#define BUCKET_INTERVAL_SIZE 40
#define BUCKET_NUMBER_MAX 10000 /* months, quarters, years */

typedef struct bucket_rule {
    int64_t width_us;  /* fixed; 0 = by the calendar */
    int64_t origin_us; /* a start of a fixed one */
    int32_t months,
        days; /* of the calendar: one of them; both 0 and width 0 = the time itself is the bucket */
    const zone *zone;
} bucket_rule;

/* "10m", "1d", "1mo", "1q", "1y" in a zone (NULL = UTC). */
status_class bucket_rule_read(const char *word, const char *timezone, bucket_rule *out, status *st);
/* The start of the bucket that holds `us`; a moment on an edge belongs to the later bucket. */
int64_t bucket_start(const bucket_rule *rule, int64_t us);
/* Where the bucket that holds `us` ends: the start of the next one. */
int64_t bucket_end(const bucket_rule *rule, int64_t us);
/* How wide one is, roughly for those of the calendar; 0 = the time itself. */
int64_t bucket_nominal_us(const bucket_rule *rule);
/* As an interval of PostgreSQL. */
const char *bucket_interval(const bucket_rule *rule, char out[BUCKET_INTERVAL_SIZE]);
/* Fixed width from the epoch. */
int64_t bucket_floor(int64_t us, int64_t width_us);
#endif
