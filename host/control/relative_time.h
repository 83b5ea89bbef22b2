/* Times that people write: RFC 3339, or relative to now: `now`, `now-24h`, `now+7d`, `now/d` (start of the UTC day; also
 * /h and /m), and both, `now-1d/d`. */
#ifndef PENSTOCK_CONTROL_RELATIVE_TIME_H
#define PENSTOCK_CONTROL_RELATIVE_TIME_H
#include <stdint.h>

#include "base/status.h"

status_class relative_time_parse(const char *s, int64_t now_us, int64_t *us_out, status *st);
#endif
