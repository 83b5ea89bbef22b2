/* A jansson tree as compact JSON text, with the shortest doubles that read back as themselves (jansson writes
 * 0.97 as 0.96999999999999997). */
#ifndef PENSTOCK_SERVE_DOCUMENT_H
#define PENSTOCK_SERVE_DOCUMENT_H
#include <jansson.h>

#include "base/text.h"

/* NULL is written as null. */
void document_write(text *out, const json_t *v);
#endif
