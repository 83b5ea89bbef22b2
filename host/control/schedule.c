/* Fields become bit sets; the search goes by day and asks the sets, so even "29 Feb on a Monday" takes
 * microseconds. */
#include "control/schedule.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utc.h"

#define MINUTE_US (60 * UTC_SECOND_US)
/* The Gregorian calendar repeats after 400 years, weekdays included, and any rule that fires does so in 40.
 */
#define SEARCH_DAYS (41 * 366)

typedef struct field {
    const char *name;
    unsigned least, most;
    const char *const *words; /* names of least, least + 1, … */
    unsigned n_words;
} field;

static const char *const month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const day_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
static const field fields[5] = {{"minute", 0, 59, NULL, 0},
                                {"hour", 0, 23, NULL, 0},
                                {"day of month", 1, 31, NULL, 0},
                                {"month", 1, 12, month_words, 12},
                                {"day of week", 0, 7, day_words, 7}};

static bool parse_value(const char **at, const field *f, unsigned *ret)
{
    for (unsigned i = 0; i < f->n_words; i++)
        if (strncasecmp(*at, f->words[i], 3) == 0 && !isalnum((unsigned char)(*at)[3])) {
            *ret = f->least + i;
            *at += 3;
            return true;
        }
    char *end;
    if (!isdigit((unsigned char)**at))
        return false;
    unsigned long v = strtoul(*at, &end, 10);
    if (end - *at > 2 || v < f->least || v > f->most)
        return false;
    *ret = (unsigned)v;
    *at = end;
    return true;
}

/* `*`, `a`, `a-b`, each with an optional `/step`. */
static bool parse_item(const char **at, const field *f, uint64_t *set)
{
    unsigned first = f->least, last = f->most, step = 1;
    bool star = **at == '*';
    if (star) {
        ++*at;
        last = f->n_words == 7 ? 6 : f->most;
    } else {
        if (!parse_value(at, f, &first))
            return false;
        last = first;
    }
    bool range = !star && **at == '-';
    if (range) {
        ++*at;
        if (!parse_value(at, f, &last) || last < first)
            return false;
    }
    if (**at == '/' && (star || range)) {
        char *end;
        ++*at;
        if (!isdigit((unsigned char)**at))
            return false;
        step = (unsigned)strtoul(*at, &end, 10);
        if (step == 0 || step > f->most || end - *at > 2)
            return false;
        *at = end;
    }
    for (unsigned v = first; v <= last; v += step)
        *set |= 1ULL << (f->n_words == 7 ? v % 7 : v);
    return true;
}

static bool parse_field(const char **at, const field *f, uint64_t *set)
{
    *set = 0;
    do {
        if (**at == ',')
            ++*at;
        if (!parse_item(at, f, set))
            return false;
    } while (**at == ',');
    return **at == ' ' || **at == '\t' || **at == '\0';
}

static const char *spelled_out(const char *expression)
{
    static const char *const names[][2] = {{"@hourly", "0 * * * *"},
                                           {"@daily", "0 0 * * *"},
                                           {"@weekly", "0 0 * * 0"},
                                           {"@monthly", "0 0 1 * *"},
                                           {"@yearly", "0 0 1 1 *"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(expression, names[i][0]) == 0)
            return names[i][1];
    return expression;
}

status_class cron_parse(const char *expression, cron_rule *ret, status *st)
{
    expression = spelled_out(expression);
    uint64_t sets[5] = {0};
    bool stars[5] = {0}, any[5] = {0};
    const char *at = expression;
    for (int i = 0; i < 5; i++) {
        at += strspn(at, " \t");
        stars[i] = *at == '*';
        if (*at == '\0')
            return status_set(st, STATUS_INVALID, "the schedule cannot be read: %d of 5 fields are there", i);
        size_t len = strcspn(at, " \t");
        any[i] = memchr(at, '*', len) != NULL;
        if (!parse_field(&at, &fields[i], &sets[i])) {
            status_set(st, STATUS_INVALID, "the schedule cannot be read: wrong %s at \"%.20s\"",
                       fields[i].name, at);
            return status_hint(st, "minute hour day-of-month month day-of-week, such as 0 7 * * 1");
        }
    }
    at += strspn(at, " \t");
    if (*at)
        return status_set(st, STATUS_INVALID, "the schedule cannot be read: more than 5 fields");
    *ret = (cron_rule){.minutes = sets[0],
                       .hours = (uint32_t)sets[1],
                       .days = (uint32_t)sets[2],
                       .months = (uint32_t)sets[3],
                       .weekdays = (uint32_t)sets[4],
                       .fixed = !any[0] && !any[1],
                       .any_day = stars[2],
                       .any_weekday = stars[4]};
    return STATUS_OK;
}

static bool day_matches(const cron_rule *r, int32_t day)
{
    int year;
    unsigned month, date;
    utc_civil_from_days(day, &year, &month, &date);
    if (!(r->months >> month & 1))
        return false;
    bool by_date = r->days >> date & 1;
    bool by_weekday = r->weekdays >> (((day % 7) + 11) % 7) & 1; /* day 0 was a Thursday */
    return r->any_day || r->any_weekday ? by_date && by_weekday : by_date || by_weekday;
}

static bool next_day(const cron_rule *r, int32_t *day)
{
    for (int32_t last = *day + SEARCH_DAYS; *day < last; ++*day)
        if (day_matches(r, *day))
            return true;
    return false;
}

bool cron_fires(const cron_rule *rule)
{
    int32_t day = 0;
    return next_day(rule, &day);
}

/* The first matching minute of the day at or after `minute`; 1440 if there is none. */
static unsigned next_minute(const cron_rule *r, unsigned minute)
{
    while (minute < 1440 && !((r->hours >> (minute / 60) & 1) && (r->minutes >> (minute % 60) & 1)))
        minute++;
    return minute;
}

/* The first matching local minute after `local_us`; INT64_MAX if there is none. */
static int64_t next_local(const cron_rule *rule, int64_t local_us)
{
    int64_t minutes = local_us / MINUTE_US - (local_us % MINUTE_US < 0) + 1;
    int32_t day = (int32_t)(minutes / 1440 - (minutes % 1440 < 0));
    unsigned minute = (unsigned)(minutes - (int64_t)day * 1440);
    for (int32_t first = day; next_day(rule, &day); day++) {
        unsigned at = next_minute(rule, day == first ? minute : 0);
        if (at < 1440)
            return ((int64_t)day * 1440 + at) * MINUTE_US;
    }
    return INT64_MAX;
}

/* Times of day keep their order when they are mapped to moments, so the first one behind `after_us` is the
 * next. */
static int64_t next_fixed(const cron_rule *rule, int64_t after_us, const zone *z)
{
    int64_t local = after_us + zone_offset_us(z, after_us) - UTC_DAY_US - 3600 * UTC_SECOND_US;
    while ((local = next_local(rule, local)) != INT64_MAX) {
        int64_t moment = zone_moment(z, local);
        if (moment > after_us)
            return moment;
    }
    return INT64_MAX;
}

/* Between two changes the local clock runs evenly. */
static int64_t next_matching(const cron_rule *rule, int64_t after_us, const zone *z)
{
    int64_t last = after_us + SEARCH_DAYS * UTC_DAY_US;
    for (int64_t from = after_us; from < last;) {
        int64_t offset = zone_offset_us(z, from + 1), change = zone_next_change(z, from + 1);
        int64_t local = next_local(rule, from + offset);
        if (local == INT64_MAX || change == INT64_MAX || local - offset < change)
            return local == INT64_MAX ? local : local - offset;
        from = change - 1;
    }
    return INT64_MAX;
}

int64_t cron_next(const cron_rule *rule, int64_t after_us, const zone *z)
{
    if (!cron_fires(rule))
        return INT64_MAX;
    return rule->fixed ? next_fixed(rule, after_us, z) : next_matching(rule, after_us, z);
}

status_class schedule_next(const schedule_rule *rule, int64_t after_us, int64_t *ret, status *st)
{
    cron_rule cron = {0};
    const zone *z;
    *ret = INT64_MAX;
    if (rule->every_us > 0) {
        int64_t past = after_us % rule->every_us;
        *ret = after_us - past + (past < 0 ? 0 : rule->every_us);
        return STATUS_OK;
    }
    if (!rule->cron)
        return STATUS_OK;
    status_class class = cron_parse(rule->cron, &cron, st);
    if (class == STATUS_OK)
        class = zone_find(rule->timezone, &z, st);
    if (class == STATUS_OK)
        *ret = cron_next(&cron, after_us, z);
    return class;
}
