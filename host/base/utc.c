/* Calendar arithmetic after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
#include "base/utc.h"

#include <stdio.h>
#include <string.h>

int32_t utc_days_from_civil(int year, unsigned month, unsigned day)
{
    int y = year - (month <= 2);
    int era = (y >= 0 ? y : y - 399) / 400;
    unsigned of_era = (unsigned)(y - era * 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3U : 9U)) + 2) / 5 + day - 1;
    unsigned day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + (int32_t)day_of_era - 719468;
}

void utc_civil_from_days(int32_t days, int *year_out, unsigned *month_out, unsigned *day_out)
{
    int32_t z = days + 719468;
    int32_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned mp = (5 * of_year + 2) / 153;
    *day_out = of_year - (153 * mp + 2) / 5 + 1;
    *month_out = mp < 10 ? mp + 3 : mp - 9;
    *year_out = (int)year_of_era + era * 400 + (*month_out <= 2);
}

/* Reads exactly n digits at *p; -1 if there are not n. */
static int digits(const char **p, const char *end, int n)
{
    int value = 0;
    if (end - *p < n)
        return -1;
    for (int i = 0; i < n; i++) {
        unsigned d = (unsigned)((*p)[i] - '0');
        if (d > 9)
            return -1;
        value = value * 10 + (int)d;
    }
    *p += n;
    return value;
}

static bool literal(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : lengths[month - 1];
}

static bool parse_date(const char **p, const char *end, int32_t *days_out)
{
    int year = digits(p, end, 4);
    if (year < 1 || !literal(p, end, '-'))
        return false;
    int month = digits(p, end, 2);
    if (month < 1 || month > 12 || !literal(p, end, '-'))
        return false;
    int day = digits(p, end, 2);
    if (day < 1 || day > days_in_month(year, month))
        return false;
    *days_out = utc_days_from_civil(year, (unsigned)month, (unsigned)day);
    return true;
}

/* Fraction of a second, cut to microseconds; absent is 0; -1 is an error. */
static int64_t parse_fraction(const char **p, const char *end)
{
    if (!literal(p, end, '.'))
        return 0;
    int64_t us = 0, unit = 100000;
    const char *from = *p;
    for (; *p < end && (unsigned)(**p - '0') <= 9; (*p)++, unit /= 10)
        us += (**p - '0') * unit;
    return *p == from ? -1 : us;
}

/* Offset from UTC in minutes; true if well-formed. */
static bool parse_offset(const char **p, const char *end, int *minutes_out)
{
    *minutes_out = 0;
    if (literal(p, end, 'Z') || literal(p, end, 'z'))
        return true;
    bool west = *p < end && **p == '-';
    if (!west && !(*p < end && **p == '+'))
        return false;
    (*p)++;
    int hours = digits(p, end, 2);
    if (hours < 0 || hours > 23 || !literal(p, end, ':'))
        return false;
    int minutes = digits(p, end, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *minutes_out = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool utc_parse(const char *s, size_t len, int64_t *us_out)
{
    const char *p = s, *end = s + len;
    int32_t days;
    int offset;
    if (!parse_date(&p, end, &days) || p == end || (*p != 'T' && *p != 't' && *p != ' '))
        return false;
    p++;
    int hour = digits(&p, end, 2);
    if (hour < 0 || hour > 23 || !literal(&p, end, ':'))
        return false;
    int minute = digits(&p, end, 2);
    if (minute < 0 || minute > 59 || !literal(&p, end, ':'))
        return false;
    int second = digits(&p, end, 2);
    int64_t fraction = second < 0 || second > 60 ? -1 : parse_fraction(&p, end);
    if (fraction < 0 || !parse_offset(&p, end, &offset) || p != end)
        return false;
    int64_t minute_of_day = ((int64_t)hour * 60 + minute) - offset;
    if (second == 60 && (minute_of_day % 1440 + 1440) % 1440 != 1439)
        return false;
    int64_t us = days * UTC_DAY_US + (minute_of_day * 60 + second) * UTC_SECOND_US + fraction;
    if (us < UTC_MIN_US || us > UTC_MAX_US)
        return false;
    *us_out = us;
    return true;
}

bool utc_parse_date(const char *s, size_t len, int32_t *days_out)
{
    const char *p = s;
    return parse_date(&p, s + len, days_out) && p == s + len;
}

size_t utc_format_date(int32_t days, char out[UTC_TEXT_SIZE])
{
    int year;
    unsigned month, day;
    utc_civil_from_days(days, &year, &month, &day);
    return (size_t)snprintf(out, UTC_TEXT_SIZE, "%04d-%02u-%02u", year, month, day);
}

size_t utc_format(int64_t us, char out[UTC_TEXT_SIZE])
{
    int64_t days = us / UTC_DAY_US - (us % UTC_DAY_US < 0);
    int64_t rest = us - days * UTC_DAY_US;
    size_t n = utc_format_date((int32_t)days, out);
    int64_t seconds = rest / UTC_SECOND_US, fraction = rest % UTC_SECOND_US;
    n += (size_t)snprintf(out + n, UTC_TEXT_SIZE - n, "T%02d:%02d:%02d", (int)(seconds / 3600),
                          (int)(seconds / 60 % 60), (int)(seconds % 60));
    if (fraction) {
        n += (size_t)snprintf(out + n, UTC_TEXT_SIZE - n, ".%06d", (int)fraction);
        while (out[n - 1] == '0')
            n--;
    }
    out[n++] = 'Z';
    out[n] = '\0';
    return n;
}

static const struct {
    const char *name;
    int64_t us;
} duration_units[] = {{"w", 7 * UTC_DAY_US},
                      {"d", UTC_DAY_US},
                      {"h", 3600 * UTC_SECOND_US},
                      {"m", 60 * UTC_SECOND_US},
                      {"s", UTC_SECOND_US},
                      {"ms", 1000},
                      {"us", 1}};

static int64_t unit_us(const char *s, size_t len)
{
    for (size_t i = 0; i < sizeof duration_units / sizeof *duration_units; i++)
        if (strlen(duration_units[i].name) == len && memcmp(duration_units[i].name, s, len) == 0)
            return duration_units[i].us;
    return 0;
}

bool duration_parse(const char *s, size_t len, int64_t *us_out)
{
    const char *p = s, *end = s + len;
    int64_t total = 0;
    if (len == 0)
        return false;
    while (p < end) {
        int64_t value = 0, part;
        const char *from = p;
        for (; p < end && (unsigned)(*p - '0') <= 9; p++)
            if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value))
                return false;
        const char *word = p;
        while (p < end && *p >= 'a' && *p <= 'z')
            p++;
        int64_t unit = unit_us(word, (size_t)(p - word));
        if (word == from || unit == 0 || __builtin_mul_overflow(value, unit, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
    }
    *us_out = total;
    return true;
}

size_t duration_format(int64_t us, char out[UTC_TEXT_SIZE])
{
    size_t n = 0;
    if (us == 0)
        return (size_t)snprintf(out, UTC_TEXT_SIZE, "0s");
    if (us < 0) {
        out[n++] = '-';
        us = -us;
    }
    for (size_t i = 1; i < sizeof duration_units / sizeof *duration_units && us > 0; i++) {
        int64_t count = us / duration_units[i].us;
        if (count > 0 && n < UTC_TEXT_SIZE)
            n += (size_t)snprintf(out + n, UTC_TEXT_SIZE - n, "%lld%s", (long long)count,
                                  duration_units[i].name);
        us %= duration_units[i].us;
    }
    return n;
}
