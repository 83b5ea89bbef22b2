/* The string formats of JSON Schema as pure functions over bytes (UTF-8). Used by `format` and by the row
 * path. */
#ifndef PENSTOCK_SCHEMA_FORMAT_H
#define PENSTOCK_SCHEMA_FORMAT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum format_kind {
    FORMAT_NONE = 0, /* unknown names: nothing is asserted */
    FORMAT_DATE_TIME,
    FORMAT_DATE,
    FORMAT_TIME,
    FORMAT_DURATION,
    FORMAT_UUID,
    FORMAT_EMAIL,
    FORMAT_IDN_EMAIL,
    FORMAT_HOSTNAME,
    FORMAT_IPV4,
    FORMAT_IPV6,
    FORMAT_URI,
    FORMAT_URI_REFERENCE,
    FORMAT_IRI,
    FORMAT_IRI_REFERENCE,
    FORMAT_URI_TEMPLATE,
    FORMAT_REGEX,
    FORMAT_JSON_POINTER,
    FORMAT_RELATIVE_JSON_POINTER,
    FORMAT_COUNT,
} format_kind;

format_kind format_by_name(const char *name);
const char *format_name(format_kind kind); /* "date-time"; "" for FORMAT_NONE */

/* True if the string has the format (always for FORMAT_NONE). Thread-safe; only FORMAT_REGEX allocates. */
bool format_check(format_kind kind, const char *s, size_t len);

/* Hexadecimal digits in the form 8-4-4-4-12, either case. */
bool format_uuid_parse(const char *s, size_t len, uint8_t out[16]);
#endif
