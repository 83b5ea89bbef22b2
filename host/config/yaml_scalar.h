/* What a plain YAML scalar means by the core schema of YAML 1.2. */
#ifndef PENSTOCK_CONFIG_YAML_SCALAR_H
#define PENSTOCK_CONFIG_YAML_SCALAR_H
#include <jansson.h>
#include <stddef.h>

typedef enum yaml_scalar_kind {
    YAML_SCALAR_TEXT,  /* none of the others */
    YAML_SCALAR_VALUE, /* null, true, false or a number: a new reference in *ret */
    YAML_SCALAR_RANGE, /* a number that JSON cannot hold: .inf, .nan, 1e999 */
} yaml_scalar_kind;

/* `text` is NUL-terminated at text[len]. */
yaml_scalar_kind yaml_scalar_resolve(const char *text, size_t len, json_t **ret);
#endif
