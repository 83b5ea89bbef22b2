/* Decimal numbers as text → int64 or double, exactly: integers are exact or refused, doubles are the nearest
 * one. Most numbers of telemetry have few digits and a small exponent; then one multiplication or division of
 * exact doubles is correctly rounded (Clinger's fast path). All others take strtod. Digits are read eight at
 * a time where so many bytes are left. */
#ifndef PENSTOCK_FLOW_DECIMAL_H
#define PENSTOCK_FLOW_DECIMAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct number_text {
    uint64_t mantissa;                   /* all digits, if `exact` */
    int32_t exponent;                    /* of ten */
    uint32_t len;                        /* of the text */
    bool negative, exact, integral_text; /* the last: neither point nor exponent */
    const char *text;
} number_text;

/* Reads the longest number of RFC 8259's grammar at [p, end). Returns its end; NULL if there is none. */
const char *decimal_read(const char *p, const char *end, number_text *out);
double decimal_double_slow(const number_text *d);
extern const double decimal_powers[23];

/* The nearest double; ±infinity when it is too large. */
static inline double decimal_double(const number_text *d)
{
    if (!d->exact || d->mantissa > (UINT64_C(1) << 53) || d->exponent < -22 || d->exponent > 22)
        return decimal_double_slow(d);
    double value = (double)d->mantissa;
    value = d->exponent < 0 ? value / decimal_powers[-d->exponent] : value * decimal_powers[d->exponent];
    return d->negative ? -value : value;
}

/* Eight bytes as they lie in memory, less '0' each: those that are no digits have their high bit set in
 * decimal_odd, the first of them for certain, and those behind it but for a byte that follows one beyond
 * ASCII. */
static inline uint64_t decimal_load(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v ^ UINT64_C(0x3030303030303030);
}
static inline uint64_t decimal_odd(uint64_t v)
{
    return ((v + UINT64_C(0x7676767676767676)) | v) & UINT64_C(0x8080808080808080);
}
/* What eight digits of decimal_load say. */
static inline uint64_t decimal_eight(uint64_t v)
{
    v = v * 2561 >> 8 & UINT64_C(0x00FF00FF00FF00FF);
    v = v * 6553601 >> 16 & UINT64_C(0x0000FFFF0000FFFF);
    return v * UINT64_C(42949672960001) >> 32;
}

/* The value, if it is a whole number that fits: 5, 5.0, 5e0, 500e-2. */
typedef enum decimal_fit { DECIMAL_FITS, DECIMAL_FRACTION, DECIMAL_TOO_LARGE } decimal_fit;
decimal_fit decimal_int64(const number_text *d, int64_t *out);
/* value × 10^shift cut to a whole number (towards minus infinity), as times need it. */
decimal_fit decimal_scaled(const number_text *d, int shift, int64_t *out);
#endif
