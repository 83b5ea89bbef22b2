#include "flow/local_time.h"

#include <string.h>
#include <strings.h>

#include "base/utc.h"

#define SECONDS_OF_DAY 86400
#define FRACTION_DIGITS_MAX 12

typedef struct reading {
    const char *p, *end;
    int year, month, day, hour, minute, second;
    int64_t fraction_us, offset_s;
    bool has_offset, afternoon, twelve;
} reading;

/* At most `width` digits, at least one. */
static bool digits(reading *r, int width, int *out)
{
    int n = 0;
    for (*out = 0; n < width && r->p < r->end && *r->p >= '0' && *r->p <= '9'; n++)
        *out = *out * 10 + (*r->p++ - '0');
    return n > 0;
}

static bool month_name(reading *r)
{
    static const char names[][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                    "jul", "aug", "sep", "oct", "nov", "dec"};
    for (int i = 0; i < 12 && r->end - r->p >= 3; i++) {
        if (strncasecmp(r->p, names[i], 3) != 0)
            continue;
        r->month = i + 1;
        r->p += 3;
        return true;
    }
    return false;
}

static bool half_of_day(reading *r)
{
    if (r->end - r->p < 2 || (r->p[1] != 'M' && r->p[1] != 'm') || !strchr("AaPp", r->p[0]))
        return false;
    r->twelve = true;
    r->afternoon = r->p[0] == 'P' || r->p[0] == 'p';
    r->p += 2;
    return true;
}

static bool fraction(reading *r)
{
    int64_t unit = 100000;
    const char *from = r->p;
    for (; r->p < r->end && *r->p >= '0' && *r->p <= '9'; r->p++, unit /= 10)
        r->fraction_us += (*r->p - '0') * unit;
    return r->p > from && r->p - from <= FRACTION_DIGITS_MAX;
}

static bool offset(reading *r)
{
    int hours, minutes = 0;
    r->has_offset = true;
    if (r->p < r->end && (*r->p == 'Z' || *r->p == 'z')) {
        r->p++;
        return true;
    }
    if (r->p == r->end || (*r->p != '+' && *r->p != '-'))
        return false;
    int sign = *r->p++ == '-' ? -1 : 1;
    if (!digits(r, 2, &hours))
        return false;
    r->p += r->p < r->end && *r->p == ':';
    if (r->p < r->end && *r->p >= '0' && *r->p <= '9' && !digits(r, 2, &minutes))
        return false;
    r->offset_s = sign * (hours * 3600 + minutes * 60);
    return hours <= 18 && minutes < 60;
}

static bool short_year(reading *r)
{
    if (!digits(r, 2, &r->year))
        return false;
    r->year += r->year < 69 ? 2000 : 1900; /* as POSIX has it */
    return true;
}

static bool blank_or_digits(reading *r, int *out)
{
    while (r->p < r->end && *r->p == ' ')
        r->p++;
    return digits(r, 2, out);
}

static bool take(reading *r, char what)
{
    switch (what) {
    case 'Y':
        return digits(r, 4, &r->year);
    case 'y':
        return short_year(r);
    case 'm':
        return digits(r, 2, &r->month);
    case 'b':
        return month_name(r);
    case 'd':
    case 'e':
        return blank_or_digits(r, &r->day);
    case 'H':
    case 'I':
        return blank_or_digits(r, &r->hour);
    case 'p':
        return half_of_day(r);
    case 'M':
        return digits(r, 2, &r->minute);
    case 'S':
        return digits(r, 2, &r->second);
    case 'f':
        return fraction(r);
    case 'z':
        return offset(r);
    default:
        return r->p < r->end && *r->p++ == what; /* %% */
    }
}

static int days_of(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool moment(reading *r, const zone *z, int64_t *us_out)
{
    if (r->twelve && (r->hour < 1 || r->hour > 12))
        return false;
    if (r->twelve)
        r->hour = r->hour % 12 + (r->afternoon ? 12 : 0);
    if (r->year < 1 || r->month < 1 || r->month > 12 || r->day < 1 || r->day > days_of(r->year, r->month) ||
        r->hour > 23 || r->minute > 59 || r->second > 59)
        return false;
    int64_t seconds =
        (int64_t)utc_days_from_civil(r->year, (unsigned)r->month, (unsigned)r->day) * SECONDS_OF_DAY +
        r->hour * 3600 + r->minute * 60 + r->second;
    int64_t local_us = (seconds - r->offset_s) * UTC_SECOND_US + r->fraction_us;
    *us_out = r->has_offset || !z ? local_us : zone_moment(z, local_us);
    return *us_out >= UTC_MIN_US && *us_out <= UTC_MAX_US;
}

bool local_time_read(const char *pattern, const zone *z, const char *s, size_t len, int64_t *us_out)
{
    reading r = {.p = s, .end = s + len, .day = 1, .month = 1};
    for (; *pattern; pattern++) {
        bool ok = *pattern == '%' ? take(&r, *++pattern) : r.p < r.end && *r.p++ == *pattern;
        if (!ok)
            return false;
    }
    return r.p == r.end && moment(&r, z, us_out);
}

bool local_time_iso(const zone *z, const char *s, size_t len, int64_t *us_out)
{
    char pattern[] = "%Y-%m-%dT%H:%M:%S.%f";
    if (len < 10 || s[4] != '-' || s[7] != '-')
        return false;
    pattern[8] = len > 10 && s[10] == ' ' ? ' ' : 'T';
    pattern[len == 10 ? 8 : len == 16 ? 14 : len == 19 ? 17 : sizeof pattern - 1] = '\0';
    return local_time_read(pattern, z, s, len, us_out);
}

status_class local_time_check(const char *pattern, status *st)
{
    bool year = false;
    if (strlen(pattern) > LOCAL_TIME_PATTERN_MAX)
        return status_set(st, STATUS_INVALID, "a pattern of a time has at most %d characters",
                          LOCAL_TIME_PATTERN_MAX);
    for (const char *p = pattern; *p; p++) {
        if (*p != '%')
            continue;
        year = year || p[1] == 'Y' || p[1] == 'y';
        if (!*++p || !strchr("YymbdeHIpMSfz%", *p))
            return status_set(st, STATUS_INVALID, "the pattern %.100s: %%%.1s is not known", pattern, p);
    }
    if (!year)
        return status_set(st, STATUS_INVALID, "the pattern %.100s has no year", pattern);
    return STATUS_OK;
}
