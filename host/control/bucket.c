/* Calendar buckets are numbered by the local clock: months since 1970-01, days since 1970-01-01 (weeks since
 * Monday 1970-01-05). The number that the local reading gives is right but for hours around a change of the
 * clock, when the reading jumps over a boundary or comes back before it: so the neighbours are looked at. */
#include "control/bucket.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utc.h"

static const int64_t monday_us = 4 * UTC_DAY_US; /* 1970-01-05 */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t bucket_floor(int64_t us, int64_t width_us)
{
    return floor_divide(us, width_us) * width_us;
}

/* ---- reading ---- */

static int32_t months_of(const char *word)
{
    static const struct {
        const char *unit;
        int32_t months;
    } units[] = {{"mo", 1}, {"q", 3}, {"y", 12}};
    char *end;
    long n = strtol(word, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (end != word && n > 0 && n <= BUCKET_NUMBER_MAX && strcmp(end, units[i].unit) == 0)
            return (int32_t)n * units[i].months;
    return 0;
}

status_class bucket_rule_read(const char *word, const char *timezone, bucket_rule *out, status *st)
{
    int64_t us = 0;
    *out = (bucket_rule){.months = months_of(word)};
    if (!out->months && (!duration_parse(word, strlen(word), &us) || us <= 0))
        return status_set(st, STATUS_INVALID, "\"%s\" is no width such as 10m, 1d or 1mo", word);
    status_class class = zone_find(timezone, &out->zone, st);
    if (class != STATUS_OK || out->months)
        return class;
    bool days = us % UTC_DAY_US == 0, utc = !timezone || strcmp(timezone, "UTC") == 0;
    if (days && us / UTC_DAY_US > INT32_MAX)
        return status_set(st, STATUS_INVALID, "\"%s\" is too wide", word);
    if (days && !utc) {
        out->days = (int32_t)(us / UTC_DAY_US);
    } else {
        out->width_us = us;
        out->origin_us = us % (7 * UTC_DAY_US) == 0 ? monday_us : 0;
    }
    return STATUS_OK;
}

/* ---- the calendar ---- */

static int64_t number_of(const bucket_rule *r, int64_t local_us)
{
    int64_t days = floor_divide(local_us, UTC_DAY_US);
    if (!r->months)
        return floor_divide(r->days % 7 == 0 ? days - 4 : days, r->days);
    int year;
    unsigned month, day;
    utc_civil_from_days((int32_t)days, &year, &month, &day);
    return floor_divide((year - 1970) * INT64_C(12) + month - 1, r->months);
}

/* The moment at which bucket `number` begins. */
static int64_t moment_of(const bucket_rule *r, int64_t number)
{
    int64_t days;
    if (r->months) {
        int64_t months = number * r->months, years = floor_divide(months, 12);
        days = utc_days_from_civil((int)(1970 + years), (unsigned)(months - years * 12) + 1, 1);
    } else {
        days = number * r->days + (r->days % 7 == 0 ? 4 : 0);
    }
    return zone_moment(r->zone, days * UTC_DAY_US);
}

/* The number of the bucket that holds `us`; *next_out is where it ends. */
static int64_t find_number(const bucket_rule *r, int64_t us, int64_t *next_out)
{
    int64_t number = number_of(r, us + zone_offset_us(r->zone, us));
    while (moment_of(r, number) > us)
        number--;
    while ((*next_out = moment_of(r, number + 1)) <= us)
        number++;
    return number;
}

int64_t bucket_start(const bucket_rule *r, int64_t us)
{
    int64_t next;
    if (r->width_us)
        return bucket_floor(us - r->origin_us, r->width_us) + r->origin_us;
    return r->months || r->days ? moment_of(r, find_number(r, us, &next)) : us;
}

int64_t bucket_end(const bucket_rule *r, int64_t us)
{
    int64_t next;
    if (r->width_us)
        return bucket_start(r, us) + r->width_us;
    if (!r->months && !r->days)
        return us + 1;
    find_number(r, us, &next);
    return next;
}

int64_t bucket_nominal_us(const bucket_rule *r)
{
    return r->width_us ? r->width_us : r->months * 30 * UTC_DAY_US + r->days * UTC_DAY_US;
}

const char *bucket_interval(const bucket_rule *r, char out[BUCKET_INTERVAL_SIZE])
{
    if (r->months)
        snprintf(out, BUCKET_INTERVAL_SIZE, "%" PRId32 " months", r->months);
    else if (r->days)
        snprintf(out, BUCKET_INTERVAL_SIZE, "%" PRId32 " days", r->days);
    else if (r->width_us % UTC_DAY_US == 0)
        snprintf(out, BUCKET_INTERVAL_SIZE, "%" PRId64 " days", (int64_t)(r->width_us / UTC_DAY_US));
    else
        snprintf(out, BUCKET_INTERVAL_SIZE, "%" PRId64 " microseconds", r->width_us);
    return out;
}
