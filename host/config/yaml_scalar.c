/* Plain scalars by the YAML 1.2 core schema, resolved here because libyaml only knows text and its users tend
 * to YAML 1.1, where `no` is false and 12:30 is 750. Decimal integers that do not fit int64 become doubles,
 * as in JSON. */
#include "config/yaml_scalar.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static size_t digits(const char *s, const char *allowed)
{
    return strspn(s, allowed);
}

/* 0o17, 0x1F: no sign, as the core schema says. */
static bool is_based(const char *s, int *ret_base)
{
    if (s[0] != '0' || (s[1] != 'o' && s[1] != 'x'))
        return false;
    *ret_base = s[1] == 'o' ? 8 : 16;
    size_t n = digits(s + 2, *ret_base == 8 ? "01234567" : "0123456789abcdefABCDEF");
    return n > 0 && s[2 + n] == '\0';
}

/* [-+]?[0-9]+ or [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_decimal(const char *s, bool *ret_integer)
{
    if (*s == '-' || *s == '+')
        s++;
    size_t whole = digits(s, "0123456789");
    s += whole;
    *ret_integer = *s == '\0';
    if (*s == '.') {
        size_t fraction = digits(++s, "0123456789");
        if (whole + fraction == 0)
            return false;
        s += fraction;
    } else if (whole == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '-' || *s == '+')
            s++;
        size_t n = digits(s, "0123456789");
        if (n == 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

static yaml_scalar_kind integer_value(const char *s, int base, json_t **ret)
{
    errno = 0;
    long long n = strtoll(s, NULL, base);
    if (errno == 0) {
        *ret = json_integer(n);
        return YAML_SCALAR_VALUE;
    }
    double d = base == 10 ? strtod(s, NULL) : HUGE_VAL;
    if (!isfinite(d))
        return YAML_SCALAR_RANGE;
    *ret = json_real(d);
    return YAML_SCALAR_VALUE;
}

static yaml_scalar_kind number_value(const char *s, json_t **ret)
{
    static const char *const endless[] = {".inf",  ".Inf",  ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
                                          "-.Inf", "-.INF", ".nan", ".NaN",  ".NAN",  NULL};
    int base;
    bool integer;
    if (is_one_of(s, endless))
        return YAML_SCALAR_RANGE;
    if (is_based(s, &base))
        return integer_value(s + 2, base, ret);
    if (!is_decimal(s, &integer))
        return YAML_SCALAR_TEXT;
    if (integer)
        return integer_value(s, 10, ret);
    double d = strtod(s, NULL);
    if (!isfinite(d))
        return YAML_SCALAR_RANGE;
    *ret = json_real(d);
    return YAML_SCALAR_VALUE;
}

yaml_scalar_kind yaml_scalar_resolve(const char *text, size_t len, json_t **ret)
{
    static const char *const none[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    if (strlen(text) != len)
        return YAML_SCALAR_TEXT;
    if (is_one_of(text, none))
        *ret = json_null();
    else if (is_one_of(text, yes))
        *ret = json_true();
    else if (is_one_of(text, no))
        *ret = json_false();
    else
        return number_value(text, ret);
    return YAML_SCALAR_VALUE;
}
