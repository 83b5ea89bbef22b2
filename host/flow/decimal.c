#include "flow/decimal.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define DIGITS_MAX 19        /* any 19 digits fit uint64 */
#define EXPONENT_MAX 1000000 /* beyond it only the sign of the exponent matters */

const double decimal_powers[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && (unsigned)(*p - '0') <= 9;
}

static inline const char *read_digits(const char *p, const char *end, uint64_t *mantissa)
{
    uint64_t m = *mantissa;
    for (; is_digit(p, end); p++)
        m = m * 10 + (unsigned)(*p - '0');
    *mantissa = m;
    return p;
}

static const char *read_exponent(const char *p, const char *end, int32_t *exponent)
{
    bool negative = false;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    if (!is_digit(p, end))
        return NULL;
    int32_t value = 0;
    for (; is_digit(p, end); p++)
        if (value < EXPONENT_MAX)
            value = value * 10 + (*p - '0');
    *exponent += negative ? -value : value;
    return p;
}

/* Leading zeros are no digits of the mantissa: 0.000…0001 keeps its precision. */
static bool few_digits(const char *from, const char *to)
{
    if (to - from <= DIGITS_MAX)
        return true;
    while (from < to && (*from == '0' || *from == '.'))
        from++;
    size_t n = 0;
    for (; from < to && *from != 'e' && *from != 'E'; from++)
        n += *from != '.';
    return n <= DIGITS_MAX;
}

/* The digits, and the point among them, of the eight bytes at `p`, of which the first is a digit. Returns
 * where to go on; *fraction is then behind the point, if there was one. */
static inline const char *read_eight(const char *p, uint64_t *mantissa, const char **fraction)
{
    uint64_t v = decimal_load(p), odd = decimal_odd(v);
    unsigned n = odd ? (unsigned)__builtin_ctzll(odd) / 8 : 8;
    if (n < 8 && p[n] == '.') {
        uint64_t before = (UINT64_C(1) << 8 * n) - 1;
        *fraction = p + n + 1;
        v = (v & before) | (v >> 8 & ~before);
        odd = (odd >> 8 & ~before) | UINT64_C(1) << 63; /* seven bytes are left */
        n = (unsigned)__builtin_ctzll(odd) / 8;
        p++;
    }
    *mantissa = decimal_eight(v << (64 - 8 * n));
    return p + n;
}

const char *decimal_read(const char *p, const char *end, number_text *out)
{
    const char *start = p;
    uint64_t mantissa = 0;
    int32_t exponent = 0;
    bool integral = true;
    out->negative = p < end && *p == '-';
    p += out->negative;
    const char *digits = p;
    if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end)))
        return NULL;
    const char *fraction = NULL;
    if (end - p >= 8)
        p = read_eight(p, &mantissa, &fraction);
    if (!fraction) {
        p = read_digits(p, end, &mantissa);
        fraction = p < end && *p == '.' ? ++p : NULL;
    }
    if (fraction) {
        p = read_digits(p, end, &mantissa);
        if (p == fraction)
            return NULL;
        exponent = p - fraction > EXPONENT_MAX ? -EXPONENT_MAX : (int32_t)(fraction - p);
        integral = false;
    }
    const char *last = p;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = read_exponent(p + 1, end, &exponent);
        if (!p)
            return NULL;
        integral = false;
    }
    out->mantissa = mantissa;
    out->exponent = exponent;
    out->exact = few_digits(digits, last);
    out->integral_text = integral;
    out->text = start;
    out->len = (uint32_t)(p - start);
    return p;
}

static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

double decimal_double_slow(const number_text *d)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char small[128], *text = d->len < sizeof small ? small : memory_alloc((size_t)d->len + 1);
    pthread_once(&once, make_locale);
    memcpy(text, d->text, d->len);
    text[d->len] = '\0';
    double value = strtod_l(text, NULL, c_locale);
    if (text != small)
        free(text);
    return value;
}

/* The significant digits of a number that is longer than 19, without zeros at either end. */
static bool shorten(const number_text *d, uint64_t *mantissa, int64_t *exponent)
{
    const char *p = d->text + d->negative, *end = d->text + d->len;
    uint64_t m = 0;
    int64_t zeros = 0;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.')
            continue;
        if (*p == '0') {
            zeros++;
            continue;
        }
        for (int64_t i = 0; m && i < zeros; i++)
            if (__builtin_mul_overflow(m, 10, &m))
                return false;
        zeros = 0;
        if (__builtin_mul_overflow(m, 10, &m) || __builtin_add_overflow(m, (uint64_t)(*p - '0'), &m))
            return false;
    }
    *mantissa = m;
    *exponent = d->exponent + zeros;
    return true;
}

static decimal_fit with_sign(uint64_t magnitude, bool negative, int64_t *out)
{
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return DECIMAL_TOO_LARGE;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return DECIMAL_FITS;
}

static decimal_fit scale(uint64_t m, int64_t exponent, bool negative, bool cut, int64_t *out)
{
    bool rest = false;
    for (; exponent > 0 && m; exponent--)
        if (__builtin_mul_overflow(m, 10, &m))
            return DECIMAL_TOO_LARGE;
    for (; exponent < 0 && m; exponent++) {
        if (m % 10 && !cut)
            return DECIMAL_FRACTION;
        rest |= m % 10 != 0;
        m /= 10;
    }
    return with_sign(m + (rest && negative), negative, out);
}

decimal_fit decimal_int64(const number_text *d, int64_t *out)
{
    if (d->exact && d->exponent == 0)
        return with_sign(d->mantissa, d->negative, out);
    uint64_t m = d->mantissa;
    int64_t exponent = d->exponent;
    if (!d->exact && !shorten(d, &m, &exponent))
        return exponent < 0 && !d->integral_text ? DECIMAL_FRACTION : DECIMAL_TOO_LARGE;
    return scale(m, exponent, d->negative, false, out);
}

decimal_fit decimal_scaled(const number_text *d, int shift, int64_t *out)
{
    uint64_t m = d->mantissa;
    int64_t exponent = d->exponent;
    if (!d->exact && !shorten(d, &m, &exponent))
        return DECIMAL_TOO_LARGE;
    return scale(m, exponent + shift, d->negative, true, out);
}
