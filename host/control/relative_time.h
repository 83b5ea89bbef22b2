/* Times that people write: RFC 3339, or relative to now: `now`, `now-24h`, `now+7d`, `now/d` (start of the
 * UTC day; also /h and /m), and both, `now-1d/d`. */
#ifndef PENSTOCK_CONTROL_RELATIVE_TIME_H
#define PENSTOCK_CONTROL_RELATIVE_TIME_H
#include <stdbool.h>
#include <stdint.h>

/* False if it is none of these, or lies outside the years 0001–9999. */
bool relative_time_parse(const char *s, int64_t now_us, int64_t *us_out);
#endif
