/* JSON values as text, numbers in their shortest form (jansson prints doubles with 17 digits). */
#ifndef PENSTOCK_CLI_JSON_TEXT_H
#define PENSTOCK_CLI_JSON_TEXT_H
#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

/* `pretty`: indented by two, members in the order they came. */
void json_text_add(text *out, const json_t *value, bool pretty);
#endif
