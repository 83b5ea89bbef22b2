/* Template parameters: declared in `parameters`, given when a workspace is made, put in wherever a text holds
 * ${name}. A text that is nothing but ${name} becomes the value with its type; `$${` stands for a plain `${`.
 * SQL never takes parameters: a value that becomes part of a statement's text would be a hole in the wall. */
#ifndef PENSTOCK_CONTROL_PARAMETER_H
#define PENSTOCK_CONTROL_PARAMETER_H
#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* The given values with defaults for those that are missing; a new reference. `declared` may be NULL (none).
 * STATUS_INVALID with where = "/parameters/name" for a missing, unknown or unfit value. With `samples` a
 * missing value becomes one that fits, for checking a template before anybody gives values. */
status_class parameters_resolve(const json_t *declared, const json_t *given, bool samples, json_t **ret,
                                status *st);

/* Told about every place that cannot be filled; `pointer` leads to it. */
typedef void (*parameter_problem)(void *arg, const char *pointer, const char *sentence);
/* A deep copy with the values put in. Members called "sql" and keys that begin with x- are left as they are;
 * a ${name} in SQL or of an unknown name is reported (`problem` may be NULL) and left. */
json_t *parameters_fill(const json_t *value, const json_t *values, parameter_problem problem, void *arg);
#endif
