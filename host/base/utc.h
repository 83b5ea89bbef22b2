/* Points in time and durations as text. A point is int64 microseconds since 1970-01-01T00:00:00Z, years
 * 0001–9999. Finer digits are cut off, never rounded: rounding would move a row into the next bucket. */
#ifndef PENSTOCK_BASE_UTC_H
#define PENSTOCK_BASE_UTC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTC_TEXT_SIZE 32
#define UTC_MIN_US (-62135596800000000LL) /* 0001-01-01T00:00:00Z */
#define UTC_MAX_US 253402300799999999LL   /* 9999-12-31T23:59:59.999999Z */
#define UTC_SECOND_US 1000000LL
#define UTC_DAY_US 86400000000LL

/* RFC 3339 date-time (offset required; `T` and `Z` in either case, a blank for `T`; second 60 only where a
 * leap second can be, taken as the next second). */
bool utc_parse(const char *s, size_t len, int64_t *us_out);
/* RFC 3339 full-date → days since 1970-01-01. */
bool utc_parse_date(const char *s, size_t len, int32_t *days_out);
/* "2026-01-02T03:04:05.678901Z"; no fraction when it is zero. Returns the length. */
size_t utc_format(int64_t us, char out[UTC_TEXT_SIZE]);
size_t utc_format_date(int32_t days, char out[UTC_TEXT_SIZE]);
/* Civil calendar, proleptic Gregorian. */
int32_t utc_days_from_civil(int year, unsigned month, unsigned day);
void utc_civil_from_days(int32_t days, int *year_out, unsigned *month_out, unsigned *day_out);
/* "10s", "5m", "1h", "7d", "2w", "250ms", "90us" and sums like "1h30m" → microseconds. */
bool duration_parse(const char *s, size_t len, int64_t *us_out);
/* Shortest such text, e.g. "1h30m". */
size_t duration_format(int64_t us, char out[UTC_TEXT_SIZE]);
#endif
