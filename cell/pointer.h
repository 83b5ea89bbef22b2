/* JSON Pointers (RFC 6901) into a jansson document. */
#ifndef PENSTOCK_CELL_POINTER_H
#define PENSTOCK_CELL_POINTER_H
#include <jansson.h>

/* Borrowed; NULL if there is nothing at that place. "" is the whole document. */
json_t *pointer_find(const json_t *root, const char *path);
/* The key at `index` of the object there, in document order; NULL = none. */
const char *pointer_key(const json_t *root, const char *path, size_t index);
size_t pointer_count(const json_t *root, const char *path);
/* Absent or of another type: NULL, 0, 0.0. Reals may be integers. */
const char *pointer_text(const json_t *root, const char *path);
int64_t pointer_integer(const json_t *root, const char *path);
double pointer_real(const json_t *root, const char *path);
#endif
