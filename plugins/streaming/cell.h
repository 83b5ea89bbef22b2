/* A cell of a row as text: a key, a part of a subject. */
#ifndef STREAMING_CELL_H
#define STREAMING_CELL_H
#include "penstock/sink.h"

/* Text as it is, anything else as in JSON; nothing for null. */
void cell_add(const pst_column *c, uint32_t row, pst_text *out);
#endif
