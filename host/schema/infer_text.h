/* A datastore proposed from a text: a JSON array, JSON objects a line, or CSV with a header; which of them is
 * seen from its first character. */
#ifndef PENSTOCK_SCHEMA_INFER_TEXT_H
#define PENSTOCK_SCHEMA_INFER_TEXT_H
#include <stdio.h>

#include "schema/infer.h"

/* From the start of `from`. separator 0: the likeliest of , ; tab | in the first line. Appends to `yaml_out`.
 */
status_class schema_infer_text(const char *key, FILE *from, char separator, text *yaml_out, status *st);
#endif
