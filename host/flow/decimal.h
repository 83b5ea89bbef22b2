/* Decimal numbers as text → int64 or double, exactly: integers are exact or refused, doubles are the nearest
 * one. Most numbers of telemetry have few digits and a small exponent; then one multiplication or division of
 * exact doubles is correctly rounded (Clinger's fast path). All others take strtod. */
#ifndef PENSTOCK_FLOW_DECIMAL_H
#define PENSTOCK_FLOW_DECIMAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct number_text {
    uint64_t mantissa;                   /* all digits, if `exact` */
    int32_t exponent;                    /* of ten */
    uint32_t len;                        /* of the text */
    bool negative, exact, integral_text; /* the last: neither point nor exponent */
    const char *text;
} number_text;

/* Reads the longest number of RFC 8259's grammar at [p, end). Returns its end; NULL if there is none. */
const char *decimal_read(const char *p, const char *end, number_text *out);
/* The nearest double; ±infinity when it is too large. */
double decimal_double(const number_text *d);
/* The value, if it is a whole number that fits: 5, 5.0, 5e0, 500e-2. */
typedef enum decimal_fit { DECIMAL_FITS, DECIMAL_FRACTION, DECIMAL_TOO_LARGE } decimal_fit;
decimal_fit decimal_int64(const number_text *d, int64_t *out);
/* value × 10^shift cut to a whole number (towards minus infinity), as times need it. */
decimal_fit decimal_scaled(const number_text *d, int shift, int64_t *out);
#endif
