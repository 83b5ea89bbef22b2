#include "schema/number.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static decimal decimal_trim(uint64_t digits, int exponent)
{
    while (digits && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (decimal){.digits = digits, .exponent = digits ? exponent : 0};
}

decimal decimal_of_integer(int64_t v)
{
    return decimal_trim(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 0);
}

/* "d.ddddde±xx" → decimal. */
static decimal decimal_of_text(const char *s)
{
    uint64_t digits = 0;
    int fraction = 0;
    bool after_point = false;
    for (s += *s == '-'; *s && *s != 'e'; s++) {
        if (*s < '0' || *s > '9') {
            after_point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*s - '0');
        fraction += after_point;
    }
    int exponent = *s == 'e' ? (int)strtol(s + 1, NULL, 10) : 0;
    return decimal_trim(digits, exponent - fraction);
}

decimal decimal_of_double(double v)
{
    char s[40];
    assert(isfinite(v));
    for (int precision = 14; precision < 17; precision++) {
        snprintf(s, sizeof s, "%.*e", precision, v);
        if (precision == 16 || strtod(s, NULL) == v)
            break;
    }
    return decimal_of_text(s);
}

decimal decimal_of_json(const json_t *number)
{
    return json_is_integer(number) ? decimal_of_integer(json_integer_value(number))
                                   : decimal_of_double(json_real_value(number));
}

__extension__ typedef unsigned __int128 wide;

static uint64_t power_modulo(uint64_t base, int exponent, uint64_t modulus)
{
    uint64_t result = 1 % modulus;
    for (base %= modulus; exponent; exponent >>= 1) {
        if (exponent & 1)
            result = (uint64_t)((wide)result * base % modulus);
        base = (uint64_t)((wide)base * base % modulus);
    }
    return result;
}

bool decimal_is_multiple(decimal value, decimal divisor)
{
    assert(divisor.digits > 0);
    if (value.digits == 0)
        return true;
    int shift = value.exponent - divisor.exponent;
    if (shift >= 0) {
        uint64_t power = power_modulo(10, shift, divisor.digits);
        return (wide)(value.digits % divisor.digits) * power % divisor.digits == 0;
    }
    /* value.digits must be divisible by divisor.digits · 10^-shift; it has at most 20 digits and ends in no
     * zero. */
    return false;
}

static int compare_doubles(double a, double b)
{
    return a < b ? -1 : a > b;
}

/* The double's neighbourhood decides by magnitude first, then by its whole part, then by its fraction. */
static int compare_integer_double(int64_t a, double b)
{
    if (b >= 9223372036854775808.0)
        return -1;
    if (b < -9223372036854775808.0)
        return 1;
    double whole = trunc(b);
    int64_t as_integer = (int64_t)whole;
    if (a != as_integer)
        return a < as_integer ? -1 : 1;
    return compare_doubles(0, b - whole);
}

int number_compare(const json_t *a, const json_t *b)
{
    if (json_is_integer(a)) {
        json_int_t x = json_integer_value(a), y = json_integer_value(b);
        return json_is_integer(b) ? (x > y) - (x < y) : compare_integer_double(x, json_real_value(b));
    }
    if (json_is_integer(b))
        return -compare_integer_double(json_integer_value(b), json_real_value(a));
    return compare_doubles(json_real_value(a), json_real_value(b));
}

bool number_is_integer(const json_t *number)
{
    if (json_is_integer(number))
        return true;
    double v = json_is_real(number) ? json_real_value(number) : NAN;
    return isfinite(v) && trunc(v) == v;
}
