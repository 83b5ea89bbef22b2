/* The member names seen in the objects of one row, to find one that comes twice. Open addressing over
 * (object, name); emptied by a generation number, so a row costs nothing for what the row before held. */
#ifndef PENSTOCK_FLOW_JSON_NAMES_H
#define PENSTOCK_FLOW_JSON_NAMES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct json_names json_names;

json_names *json_names_create(void);
void json_names_free(json_names *n); /* NULL is fine */
void json_names_clear(json_names *n);
/* True if this object has the name already. The name is copied. */
bool json_names_add(json_names *n, uint32_t object, const char *name, size_t len);
size_t json_names_bytes(const json_names *n);
#endif
