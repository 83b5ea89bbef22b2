/* Times as people write them for a metric: RFC 3339, or relative to now: `now`, `now-24h`, `now+7d`,
 * `now-1h30m`. */
#ifndef PENSTOCK_CONTROL_RELATIVE_TIME_H
#define PENSTOCK_CONTROL_RELATIVE_TIME_H
#include <stdbool.h>
#include <stdint.h>

/* False if it is neither, or lies outside the years 0001–9999. */
bool relative_time_parse(const char *s, int64_t now_us, int64_t *ret_us);
#endif
