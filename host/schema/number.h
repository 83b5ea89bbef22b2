/* Numbers as jansson gives them (int64 or double), compared and divided exactly: a double stands for its
 * shortest decimal, so 0.3 is a multiple of 0.1. */
#ifndef PENSTOCK_SCHEMA_NUMBER_H
#define PENSTOCK_SCHEMA_NUMBER_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* digits · 10^exponent, sign left out; no trailing zeros in digits unless it is 0. */
typedef struct decimal {
    uint64_t digits;
    int exponent;
} decimal;

decimal decimal_of_integer(int64_t v);
decimal decimal_of_double(double v); /* finite */
decimal decimal_of_json(const json_t *number);
/* Is value a whole multiple of divisor? divisor.digits > 0. Constant time for any exponents. */
bool decimal_is_multiple(decimal value, decimal divisor);

/* -1, 0, 1; exact also between an int64 and a double. */
int number_compare(const json_t *a, const json_t *b);
/* Has it no fraction? */
bool number_is_integer(const json_t *number);
#endif
