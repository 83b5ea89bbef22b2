/* JSON text → json_t for schemas and what is checked against them. Unlike plain jansson, an integer beyond
 * int64 becomes the nearest double instead of an error, and U+0000 may stand in strings. Duplicate keys are
 * refused. */
#ifndef PENSTOCK_SCHEMA_DOCUMENT_H
#define PENSTOCK_SCHEMA_DOCUMENT_H
#include <jansson.h>
#include <stddef.h>

#include "base/status.h"

#define DOCUMENT_BYTES_MAX (64U << 20)

/* Any JSON value; a new reference, or NULL with "line:column" in st->where. */
json_t *document_parse(const char *data, size_t len, status *st);
json_t *document_read(const char *path, status *st);
#endif
