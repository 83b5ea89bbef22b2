/* A TZif file lists the changes of the past; its footer says by rule how the years after go on. Both are
 * read; years that only the footer knows are computed when asked. */
#include "control/zone.h"

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/text.h"
#include "base/utc.h"

#define FILE_MAX (256 * 1024)
#define HEADER 44
#define CHANGES_MAX 4000

/* Mm.w.d/time: weekday d of week w (5 = last) of month m. */
typedef struct change_rule {
    int month, week, weekday;
    int64_t at_us; /* local clock before the change */
} change_rule;

struct zone {
    char name[ZONE_NAME_MAX + 1];
    zone *next;
    uint32_t n;
    int64_t *times, *offsets; /* offsets[i] holds from times[i] */
    int64_t first_us;         /* before times[0] */
    bool has_rules;
    int64_t standard_us, summer_us; /* of the footer; only standard without rules */
    change_rule to_summer, to_standard;
};

/* ---- the footer ---- */

static bool skip_name(const char **p)
{
    const char *from = *p;
    if (**p == '<') {
        *p = strchr(*p, '>');
        return *p && (*p)++;
    }
    while (isalpha((unsigned char)**p))
        ++*p;
    return *p > from;
}

/* [+-]hh[:mm[:ss]] */
static bool read_clock(const char **p, int64_t *us)
{
    int sign = **p == '-' ? -1 : 1;
    int64_t seconds = 0, unit = 3600;
    *p += **p == '-' || **p == '+';
    if (!isdigit((unsigned char)**p))
        return false;
    for (;;) {
        char *end;
        seconds += strtol(*p, &end, 10) * unit;
        *p = end;
        unit /= 60;
        if (**p != ':' || unit == 0)
            break;
        ++*p;
    }
    *us = sign * seconds * UTC_SECOND_US;
    return true;
}

static bool read_rule(const char **p, change_rule *r)
{
    int used = 0;
    r->at_us = 7200 * UTC_SECOND_US;
    if (sscanf(*p, ",M%d.%d.%d%n", &r->month, &r->week, &r->weekday, &used) != 3 || used == 0)
        return false;
    *p += used;
    if (r->month < 1 || r->month > 12 || r->week < 1 || r->week > 5 || r->weekday < 0 || r->weekday > 6)
        return false;
    if (**p != '/')
        return true;
    ++*p;
    return read_clock(p, &r->at_us);
}

/* std offset [dst [offset] ,start,end]; offsets of POSIX count westwards. */
static bool read_footer(zone *z, const char *p)
{
    int64_t west;
    if (*p == '\0')
        return true;
    if (!skip_name(&p) || !read_clock(&p, &west))
        return false;
    z->standard_us = -west;
    if (*p == '\0')
        return true;
    if (!skip_name(&p))
        return false;
    z->summer_us = z->standard_us + 3600 * UTC_SECOND_US;
    if (*p != ',' && *p) {
        if (!read_clock(&p, &west))
            return false;
        z->summer_us = -west;
    }
    z->has_rules = read_rule(&p, &z->to_summer) && read_rule(&p, &z->to_standard) && *p == '\0';
    return z->has_rules;
}

/* ---- the file ---- */

typedef struct header {
    uint32_t utc_flags, standard_flags, leaps, times, types, chars;
} header;

static uint32_t be32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static int64_t be64(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return (int64_t)be64toh(v);
}

static bool read_header(const char *p, size_t len, header *h)
{
    if (len < HEADER || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
        return false;
    *h = (header){be32(p + 20), be32(p + 24), be32(p + 28), be32(p + 32), be32(p + 36), be32(p + 40)};
    return h->times <= CHANGES_MAX && h->types >= 1 && h->types <= 256 && h->chars <= 1024 &&
           h->leaps <= 1000 && h->utc_flags <= 256 && h->standard_flags <= 256;
}

static size_t block_size(const header *h, size_t width)
{
    return h->times * (width + 1) + h->types * 6 + h->chars + h->leaps * (width + 4) + h->standard_flags +
           h->utc_flags;
}

static bool read_changes(zone *z, const char *p, const header *h)
{
    const char *index = p + h->times * 8, *types = index + h->times;
    z->times = memory_zero(h->times + 1, sizeof *z->times);
    z->offsets = memory_zero(h->times + 1, sizeof *z->offsets);
    z->first_us = (int32_t)be32(types) * UTC_SECOND_US;
    for (uint32_t i = 0; i < h->times; i++) {
        uint8_t type = (uint8_t)index[i];
        int64_t seconds = be64(p + 8 * i);
        if (type >= h->types)
            return false;
        int64_t offset = (int32_t)be32(types + 6 * type) * UTC_SECOND_US;
        int64_t before = z->n ? z->offsets[z->n - 1] : z->first_us;
        if (seconds < UTC_MIN_US / UTC_SECOND_US || seconds > UTC_MAX_US / UTC_SECOND_US) {
            z->first_us = z->n ? z->first_us : offset;
            continue;
        }
        if (offset == before)
            continue; /* only the name changed */
        z->times[z->n] = seconds * UTC_SECOND_US;
        z->offsets[z->n++] = offset;
    }
    z->standard_us = z->n ? z->offsets[z->n - 1] : z->first_us;
    return true;
}

static bool read_file(zone *z, const char *p, size_t len)
{
    header h;
    if (!read_header(p, len, &h))
        return false;
    size_t skip = HEADER + block_size(&h, 4);
    if (skip > len || !read_header(p + skip, len - skip, &h))
        return false;
    const char *body = p + skip + HEADER;
    size_t size = block_size(&h, 8), left = len - skip - HEADER;
    if (left < size + 2 || body[size] != '\n' || !read_changes(z, body, &h))
        return false;
    const char *end = memchr(body + size + 1, '\n', left - size - 1);
    char footer[128];
    if (!end || (size_t)(end - body - size - 1) >= sizeof footer)
        return false;
    memcpy(footer, body + size + 1, (size_t)(end - body) - size - 1);
    footer[(size_t)(end - body) - size - 1] = '\0';
    return read_footer(z, footer);
}

static void zone_free(zone *z)
{
    free(z->times);
    free(z->offsets);
    free(z);
}

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= ZONE_NAME_MAX && isalpha((unsigned char)*name) && !strstr(name, "..") &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+-") == len;
}

static status_class load(const char *name, zone **ret, status *st)
{
    char path[128];
    text content = {0};
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    if (disk_read(path, FILE_MAX, &content, st) != STATUS_OK) {
        text_free(&content);
        status_set(st, STATUS_NOT_FOUND, "there is no time zone \"%s\"", name);
        return status_hint(st, "UTC, or a name of the IANA database such as Europe/Berlin (package tzdata)");
    }
    zone *z = memory_zero(1, sizeof *z);
    snprintf(z->name, sizeof z->name, "%s", name);
    bool fine = read_file(z, content.data, content.len);
    text_free(&content);
    if (!fine) {
        zone_free(z);
        return status_set(st, STATUS_INVALID, "the time zone \"%s\" cannot be read", name);
    }
    *ret = z;
    return STATUS_OK;
}

status_class zone_find(const char *name, const zone **ret, status *st)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static zone *known;
    static const zone utc = {.name = "UTC"};
    if (!name || strcmp(name, "UTC") == 0) {
        *ret = &utc;
        return STATUS_OK;
    }
    if (!is_name(name))
        return status_set(st, STATUS_NOT_FOUND, "\"%.64s\" is no time zone", name);
    pthread_mutex_lock(&lock);
    zone *z = known;
    while (z && strcmp(z->name, name) != 0)
        z = z->next;
    pthread_mutex_unlock(&lock);
    if (!z) {
        status_class class = load(name, &z, st);
        if (class != STATUS_OK)
            return class;
        assert(z);
        pthread_mutex_lock(&lock);
        z->next = known; /* two threads may both bring one: harmless, both stay */
        known = z;
        pthread_mutex_unlock(&lock);
    }
    *ret = z;
    return STATUS_OK;
}

/* ---- asking ---- */

static int64_t rule_moment(const change_rule *r, int year, int64_t offset_us)
{
    int32_t first = utc_days_from_civil(year, (unsigned)r->month, 1);
    int weekday = ((first % 7) + 11) % 7;
    int32_t day = first + (r->weekday - weekday + 7) % 7 + 7 * (r->week - 1);
    int32_t next = r->month == 12 ? utc_days_from_civil(year + 1, 1, 1)
                                  : utc_days_from_civil(year, (unsigned)r->month + 1, 1);
    while (day >= next)
        day -= 7;
    return day * UTC_DAY_US + r->at_us - offset_us;
}

static int year_of(int64_t at_us)
{
    int year;
    unsigned month, day;
    utc_civil_from_days((int32_t)(at_us / UTC_DAY_US - (at_us % UTC_DAY_US < 0)), &year, &month, &day);
    return year;
}

static int64_t rule_offset(const zone *z, int64_t at_us)
{
    if (!z->has_rules)
        return z->standard_us;
    int year = year_of(at_us);
    int64_t summer = rule_moment(&z->to_summer, year, z->standard_us);
    int64_t standard = rule_moment(&z->to_standard, year, z->summer_us);
    bool north = summer < standard;
    bool is_summer = north ? at_us >= summer && at_us < standard : at_us >= summer || at_us < standard;
    return is_summer ? z->summer_us : z->standard_us;
}

/* How many changes of the table lie at or before the moment. */
static uint32_t changes_until(const zone *z, int64_t at_us)
{
    uint32_t low = 0, high = z->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (z->times[middle] <= at_us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t zone_offset_us(const zone *z, int64_t at_us)
{
    uint32_t i = changes_until(z, at_us);
    if (i < z->n)
        return i ? z->offsets[i - 1] : z->first_us;
    return rule_offset(z, at_us);
}

int64_t zone_next_change(const zone *z, int64_t at_us)
{
    uint32_t i = changes_until(z, at_us);
    if (i < z->n)
        return z->times[i];
    int64_t found = INT64_MAX;
    for (int year = year_of(at_us); z->has_rules && found == INT64_MAX; year++) {
        int64_t summer = rule_moment(&z->to_summer, year, z->standard_us);
        int64_t standard = rule_moment(&z->to_standard, year, z->summer_us);
        if (summer > at_us)
            found = summer;
        if (standard > at_us && standard < found)
            found = standard;
    }
    return found;
}

int64_t zone_moment(const zone *z, int64_t local_us)
{
    int64_t before = zone_offset_us(z, local_us - UTC_DAY_US),
            after = zone_offset_us(z, local_us + UTC_DAY_US);
    if (before == after)
        return local_us - before;
    int64_t change = zone_next_change(z, local_us - UTC_DAY_US);
    if (local_us - before < change)
        return local_us - before;
    return local_us - after >= change ? local_us - after : change;
}

const char *zone_name(const zone *z)
{
    return z->name;
}
