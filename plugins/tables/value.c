#include "value.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NUMBER_MAX = 400, DAY_S = 86400 };
#define SECOND_US 1000000LL

/* ---- Times ---- */

bool value_zone(const char *zone)
{
    char file[300];
    snprintf(file, sizeof file, "/usr/share/zoneinfo/%s", zone);
    if (strstr(zone, "..") || access(file, R_OK) != 0)
        return false;
    setenv("TZ", zone, 1);
    tzset();
    return true;
}

typedef struct cursor {
    const char *at, *end;
    bool ok;
} cursor;

/* A number of `least` to `most` digits. */
static int digits(cursor *c, int least, int most)
{
    int n = 0, number = 0;
    for (; n < most && c->at < c->end && *c->at >= '0' && *c->at <= '9'; n++)
        number = number * 10 + (*c->at++ - '0');
    c->ok = c->ok && n >= least;
    return number;
}

static bool eat(cursor *c, char wanted)
{
    bool there = c->at < c->end && *c->at == wanted;
    c->at += there;
    return there;
}

static void expect(cursor *c, char wanted)
{
    c->ok = eat(c, wanted) && c->ok;
}

static struct tm take_date(cursor *c)
{
    struct tm t = {0};
    t.tm_year = digits(c, 4, 4) - 1900;
    expect(c, '-');
    t.tm_mon = digits(c, 2, 2) - 1;
    expect(c, '-');
    t.tm_mday = digits(c, 2, 2);
    c->ok = c->ok && t.tm_year > -1900 && t.tm_mon >= 0 && t.tm_mon < 12 && t.tm_mday >= 1 && t.tm_mday <= 31;
    return t;
}

/* The fraction of a second in µs, cut. */
static int take_fraction(cursor *c)
{
    int us = 0, unit = 100000;
    if (!eat(c, '.'))
        return 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, unit /= 10)
        us += (*c->at - '0') * unit;
    return us;
}

/* Seconds east of UTC; false: none is said. */
static bool take_offset(cursor *c, long *out)
{
    bool west = c->at < c->end && *c->at == '-';
    *out = 0;
    if (eat(c, 'Z'))
        return true;
    if (!west && !(c->at < c->end && *c->at == '+'))
        return false;
    c->at++;
    *out = digits(c, 2, 2) * 3600L;
    for (long unit = 60; unit && (eat(c, ':') || (c->at < c->end && *c->at >= '0' && *c->at <= '9'));
         unit /= 60)
        *out += digits(c, 2, 2) * unit;
    *out = west ? -*out : *out;
    return true;
}

/* By the clock of the zone. A time that comes twice in autumn is the first one. */
static time_t local_seconds(const struct tm *t)
{
    struct tm summer = *t, plain = *t;
    summer.tm_isdst = 1;
    plain.tm_isdst = -1;
    time_t first = mktime(&summer);
    bool same = summer.tm_isdst == 1 && summer.tm_hour == t->tm_hour && summer.tm_min == t->tm_min;
    return same ? first : mktime(&plain);
}

/* "2026-03-29 02:30:00.5+02"; local: without an offset the zone's clock is meant, else UTC. */
static bool read_time(driver_value from, bool local, int64_t *us)
{
    cursor c = {from.data, from.data + from.len, true};
    struct tm t = take_date(&c);
    long offset;
    c.ok = c.ok && (eat(&c, ' ') || eat(&c, 'T'));
    t.tm_hour = digits(&c, 2, 2);
    expect(&c, ':');
    t.tm_min = digits(&c, 2, 2);
    expect(&c, ':');
    t.tm_sec = digits(&c, 2, 2);
    int fraction = take_fraction(&c);
    bool said = take_offset(&c, &offset);
    if (!c.ok || c.at != c.end)
        return false;
    time_t seconds = local && !said ? local_seconds(&t) : timegm(&t) - offset;
    *us = (int64_t)seconds * SECOND_US + fraction;
    return true;
}

static bool read_date(driver_value from, int64_t *days)
{
    cursor c = {from.data, from.data + from.len, true};
    struct tm t = take_date(&c), back;
    if (!c.ok || c.at != c.end)
        return false;
    int day = t.tm_mday;
    time_t seconds = timegm(&t);
    *days = seconds / DAY_S - (seconds % DAY_S < 0);
    return gmtime_r(&seconds, &back) && back.tm_mday == day; /* not the 30th of February */
}

/* ---- Other kinds ---- */

static bool read_integer(driver_value from, int64_t *out)
{
    char copy[32], *end;
    if (!from.len || from.len >= sizeof copy)
        return false;
    memcpy(copy, from.data, from.len);
    copy[from.len] = '\0';
    errno = 0;
    *out = strtoll(copy, &end, 10);
    return !*end && !errno;
}

static bool read_real(driver_value from, double *out)
{
    char copy[NUMBER_MAX], *end;
    size_t len =
        from.len < sizeof copy - 1 ? from.len : sizeof copy - 1; /* digits beyond those are below a double */
    memcpy(copy, from.data, len);
    copy[len] = '\0';
    *out = strtod(copy, &end);
    return from.len && !*end && (from.len == len || memchr(copy, '.', len));
}

static bool read_flag(driver_value from, bool *out)
{
    char first = from.len ? *from.data : '\0';
    *out = first == 't' || first == '1';
    return *out || first == 'f' || first == '0';
}

static bool is_uuid(driver_value from)
{
    bool ok = from.len == 36;
    for (size_t i = 0; ok && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        ok = dash ? from.data[i] == '-' : from.data[i] && strchr("0123456789abcdefABCDEF", from.data[i]);
    }
    return ok;
}

/* Without U+0000, surrogates and forms that are longer than they need be. */
static bool is_text(driver_value from)
{
    const uint8_t *p = (const uint8_t *)from.data, *end = p + from.len;
    while (p < end) {
        size_t more = *p < 0x80                 ? 0
                      : *p >= 0xc2 && *p < 0xe0 ? 1
                      : (*p & 0xf0) == 0xe0     ? 2
                      : (*p & 0xf8) == 0xf0     ? 3
                                                : 9;
        if (!*p || more > (size_t)(end - p - 1))
            return false;
        for (size_t i = 1; i <= more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
            *p > 0xf4 || (*p == 0xf4 && p[1] > 0x8f))
            return false;
        p += more + 1;
    }
    return true;
}

static bool is_json(const pst_host *host, const pst_json_service *json, driver_value from)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    if (!is_text(from) || memmem(from.data, from.len, "\\u0000", 6))
        return false;
    pst_json *read = json ? json->parse(host, (pst_bytes){from.data, from.len}, &ignored) : NULL;
    if (read)
        json->discard(read);
    return read || !json;
}

const char *value_read(const pst_host *host, const pst_json_service *json, driver_kind kind,
                       driver_value from, value *out)
{
    *out = (value){.null = !from.data, .text = from};
    if (out->null)
        return NULL;
    switch (kind) {
    case DRIVER_BOOLEAN:
        return read_flag(from, &out->flag) ? NULL : "it is no boolean";
    case DRIVER_INTEGER:
        return read_integer(from, &out->number) ? NULL : "it is no whole number of 64 bits";
    case DRIVER_NUMBER:
        return read_real(from, &out->real) ? NULL : "it is no number";
    case DRIVER_TIME:
    case DRIVER_LOCAL:
        return read_time(from, kind == DRIVER_LOCAL, &out->number)
                   ? NULL
                   : "it is no time of the years 0001 to 9999";
    case DRIVER_DATE:
        return read_date(from, &out->number) ? NULL : "it is no date of the years 0001 to 9999";
    case DRIVER_UUID:
        return is_uuid(from) ? NULL : "it is no UUID";
    case DRIVER_JSON:
        return is_json(host, json, from) ? NULL : "it is no JSON that can be stored";
    default:
        return is_text(from) ? NULL : "it is no UTF-8";
    }
}

void value_set(pst_builder *b, int column, driver_kind kind, const value *v)
{
    if (v->null)
        return;
    if (kind == DRIVER_BOOLEAN)
        pst_builder_set_flag(b, column, v->flag);
    else if (kind == DRIVER_NUMBER)
        pst_builder_set_real(b, column, v->real);
    else if (kind == DRIVER_INTEGER || kind == DRIVER_TIME || kind == DRIVER_LOCAL)
        pst_builder_set_int(b, column, v->number);
    else
        pst_builder_set_bytes(b, column, v->text.data, v->text.len);
}

pst_type value_type(driver_kind kind)
{
    static const pst_type types[] = {
        [DRIVER_BOOLEAN] = PST_BOOLEAN, [DRIVER_INTEGER] = PST_INTEGER, [DRIVER_NUMBER] = PST_NUMBER,
        [DRIVER_TIME] = PST_TIME,       [DRIVER_LOCAL] = PST_TIME,      [DRIVER_DATE] = PST_DATE,
        [DRIVER_UUID] = PST_UUID,       [DRIVER_JSON] = PST_JSON,       [DRIVER_TEXT] = PST_TEXT,
        [DRIVER_REFUSED] = PST_TEXT};
    return types[kind];
}

/* ---- Order ---- */

bool value_order(driver_kind kind, driver_value from, int64_t *out)
{
    if (kind == DRIVER_INTEGER)
        return read_integer(from, out);
    if (kind == DRIVER_DATE)
        return read_date(from, out);
    /* A local one by its own clock: as it is written, so is it compared by the database. */
    return (kind == DRIVER_TIME || kind == DRIVER_LOCAL) && read_time(from, false, out);
}

size_t value_of_order(driver_kind kind, int64_t order, char out[64])
{
    struct tm t;
    bool time = kind == DRIVER_TIME || kind == DRIVER_LOCAL;
    int64_t us = time ? (order % SECOND_US + SECOND_US) % SECOND_US : 0;
    time_t seconds = time ? (order - us) / SECOND_US : order * DAY_S;
    if (kind == DRIVER_INTEGER)
        return (size_t)snprintf(out, 64, "%lld", (long long)order);
    gmtime_r(&seconds, &t);
    int n = snprintf(out, 64, "%04d-%02d-%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
    if (time)
        n += snprintf(out + n, 64 - (size_t)n, " %02d:%02d:%02d.%06lld%s", t.tm_hour, t.tm_min, t.tm_sec,
                      (long long)us, kind == DRIVER_TIME ? "+00" : "");
    return (size_t)n;
}

int64_t value_overlap(driver_kind kind, double overlap)
{
    if (kind == DRIVER_TIME || kind == DRIVER_LOCAL)
        return (int64_t)(overlap * 1e6);
    return (int64_t)ceil(kind == DRIVER_DATE ? overlap / DAY_S : overlap);
}
