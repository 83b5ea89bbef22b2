/* The table of formats and the ones about time, identity and pointers; schema/format_net.c has those about
 * names and addresses of the net. Each is a small scanner over [s, s + len). */
#include "schema/format.h"

#include <string.h>

#include "base/utc.h"
#include "schema/format_net.h"
#include "schema/pattern.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Two digits at *p, at most `max`; -1 if not. */
static int two_digits(const char **p, const char *end, int max)
{
    if (end - *p < 2 || !is_digit((*p)[0]) || !is_digit((*p)[1]))
        return -1;
    int value = ((*p)[0] - '0') * 10 + ((*p)[1] - '0');
    *p += 2;
    return value <= max ? value : -1;
}

static bool literal(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    ++*p;
    return true;
}

/* `Z` or ±hh:mm; minutes east of UTC. */
static bool time_offset(const char **p, const char *end, int *minutes_out)
{
    *minutes_out = 0;
    if (literal(p, end, 'Z') || literal(p, end, 'z'))
        return true;
    bool west = literal(p, end, '-');
    if (!west && !literal(p, end, '+'))
        return false;
    int hours = two_digits(p, end, 23);
    if (hours < 0 || !literal(p, end, ':'))
        return false;
    int minutes = two_digits(p, end, 59);
    *minutes_out = (west ? -1 : 1) * (hours * 60 + minutes);
    return minutes >= 0;
}

static bool skip_fraction(const char **p, const char *end)
{
    if (!literal(p, end, '.'))
        return true;
    const char *from = *p;
    while (*p < end && is_digit(**p))
        ++*p;
    return *p > from;
}

static bool check_time(const char *s, size_t len)
{
    const char *p = s, *end = s + len;
    int offset;
    int hour = two_digits(&p, end, 23);
    if (hour < 0 || !literal(&p, end, ':'))
        return false;
    int minute = two_digits(&p, end, 59);
    if (minute < 0 || !literal(&p, end, ':'))
        return false;
    int second = two_digits(&p, end, 60);
    if (second < 0 || !skip_fraction(&p, end) || !time_offset(&p, end, &offset) || p != end)
        return false;
    int utc = ((hour * 60 + minute - offset) % 1440 + 1440) % 1440;
    return second < 60 || utc == 1439;
}

static bool check_date_time(const char *s, size_t len)
{
    int64_t us;
    return len > 10 && s[10] != ' ' && utc_parse(s, len, &us);
}

static bool check_date(const char *s, size_t len)
{
    int32_t days;
    return utc_parse_date(s, len, &days);
}

/* Digits and one of `units`, in the order of `units` and without gaps; how many were read, -1 on nonsense. */
static int duration_parts(const char **p, const char *end, const char *units)
{
    int n = 0;
    const char *next = units;
    while (*p < end && is_digit(**p)) {
        while (*p < end && is_digit(**p))
            ++*p;
        const char *unit = *p < end ? strchr(next, **p) : NULL;
        if (!unit || !*unit || (n > 0 && unit != next))
            return -1;
        ++*p;
        next = unit + 1;
        n++;
    }
    return n;
}

/* RFC 3339 appendix A: units follow each other without gaps, weeks stand alone. */
static bool check_duration(const char *s, size_t len)
{
    const char *p = s, *end = s + len;
    if (!literal(&p, end, 'P'))
        return false;
    const char *digits = p;
    while (p < end && is_digit(*p))
        p++;
    if (p > digits && p + 1 == end && *p == 'W')
        return true;
    p = digits;
    int days = duration_parts(&p, end, "YMD");
    if (days < 0)
        return false;
    if (!literal(&p, end, 'T'))
        return days > 0 && p == end;
    return duration_parts(&p, end, "HMS") > 0 && p == end;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool format_uuid_parse(const char *s, size_t len, uint8_t out[16])
{
    size_t n = 0;
    if (len != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-')
                return false;
            continue;
        }
        int high = hex_value(s[i]), low = hex_value(s[i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[n++] = (uint8_t)(high << 4 | low);
        i++;
    }
    return true;
}

static bool check_uuid(const char *s, size_t len)
{
    uint8_t bytes[16];
    return format_uuid_parse(s, len, bytes);
}

static bool check_json_pointer(const char *s, size_t len)
{
    if (len && s[0] != '/')
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '~' && (i + 1 == len || (s[i + 1] != '0' && s[i + 1] != '1')))
            return false;
    return true;
}

static bool check_relative_json_pointer(const char *s, size_t len)
{
    size_t n = 0;
    while (n < len && is_digit(s[n]))
        n++;
    if (n == 0 || (n > 1 && s[0] == '0'))
        return false;
    return (n + 1 == len && s[n] == '#') || check_json_pointer(s + n, len - n);
}

static const struct format {
    const char *name;
    bool (*check)(const char *s, size_t len);
} formats[FORMAT_COUNT] = {
    [FORMAT_NONE] = {"", NULL},
    [FORMAT_DATE_TIME] = {"date-time", check_date_time},
    [FORMAT_DATE] = {"date", check_date},
    [FORMAT_TIME] = {"time", check_time},
    [FORMAT_DURATION] = {"duration", check_duration},
    [FORMAT_UUID] = {"uuid", check_uuid},
    [FORMAT_EMAIL] = {"email", format_is_email},
    [FORMAT_IDN_EMAIL] = {"idn-email", format_is_idn_email},
    [FORMAT_HOSTNAME] = {"hostname", format_is_hostname},
    [FORMAT_IPV4] = {"ipv4", format_is_ipv4},
    [FORMAT_IPV6] = {"ipv6", format_is_ipv6},
    [FORMAT_URI] = {"uri", format_is_uri},
    [FORMAT_URI_REFERENCE] = {"uri-reference", format_is_uri_reference},
    [FORMAT_IRI] = {"iri", format_is_iri},
    [FORMAT_IRI_REFERENCE] = {"iri-reference", format_is_iri_reference},
    [FORMAT_URI_TEMPLATE] = {"uri-template", format_is_uri_template},
    [FORMAT_REGEX] = {"regex", pattern_is_valid},
    [FORMAT_JSON_POINTER] = {"json-pointer", check_json_pointer},
    [FORMAT_RELATIVE_JSON_POINTER] = {"relative-json-pointer", check_relative_json_pointer},
};

format_kind format_by_name(const char *name)
{
    for (int i = 1; i < FORMAT_COUNT; i++)
        if (strcmp(formats[i].name, name) == 0)
            return (format_kind)i;
    return FORMAT_NONE;
}

const char *format_name(format_kind kind)
{
    return formats[kind].name;
}

bool format_check(format_kind kind, const char *s, size_t len)
{
    return !formats[kind].check || formats[kind].check(s, len);
}
