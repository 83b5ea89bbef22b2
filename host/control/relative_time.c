/* `now`, a distance, a unit to round down to; or a plain date-time. */
#include "control/relative_time.h"

#include <stdbool.h>
#include <string.h>

#include "base/utc.h"

static bool add_duration(const char **p, int64_t *us)
{
    int64_t part;
    bool minus = **p == '-';
    if (!minus && **p != '+')
        return true;
    size_t len = strcspn(*p + 1, "/");
    if (!duration_parse(*p + 1, len, &part))
        return false;
    *p += 1 + len;
    return !__builtin_add_overflow(*us, minus ? -part : part, us);
}

static bool round_down(const char **p, int64_t *us)
{
    int64_t unit;
    if (**p != '/')
        return true;
    if ((*p)[1] == 'd')
        unit = UTC_DAY_US;
    else if ((*p)[1] == 'h')
        unit = 3600 * UTC_SECOND_US;
    else if ((*p)[1] == 'm')
        unit = 60 * UTC_SECOND_US;
    else
        return false;
    int64_t rest = *us % unit;
    *us -= rest + (rest < 0 ? unit : 0);
    *p += 2;
    return true;
}

bool relative_time_parse(const char *s, int64_t now_us, int64_t *us_out)
{
    int64_t us = now_us;
    if (strncmp(s, "now", 3) != 0)
        return utc_parse(s, strlen(s), us_out);
    const char *p = s + 3;
    if (!add_duration(&p, &us) || !round_down(&p, &us) || *p != '\0' || us < UTC_MIN_US || us > UTC_MAX_US)
        return false;
    *us_out = us;
    return true;
}
