/* `now`, a sign and a duration, or a plain date-time. */
#include "control/relative_time.h"

#include <string.h>

#include "base/utc.h"

bool relative_time_parse(const char *s, int64_t now_us, int64_t *ret_us)
{
    int64_t distance = 0;
    if (strncmp(s, "now", 3) != 0)
        return utc_parse(s, strlen(s), ret_us);
    if (s[3] != '\0' && s[3] != '-' && s[3] != '+')
        return false;
    if (s[3] && !duration_parse(s + 4, strlen(s + 4), &distance))
        return false;
    if (__builtin_add_overflow(now_us, s[3] == '-' ? -distance : distance, ret_us))
        return false;
    return *ret_us >= UTC_MIN_US && *ret_us <= UTC_MAX_US;
}
