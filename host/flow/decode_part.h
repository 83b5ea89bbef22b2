/* A row that comes as named values one after the other (line protocol's tags and fields, collectd's members):
 * begin, each part, the moment, end. Private to decode*.c. */
#ifndef PENSTOCK_FLOW_DECODE_PART_H
#define PENSTOCK_FLOW_DECODE_PART_H
#include "flow/decode_row.h"

typedef struct part {
    line_text key;
    line_value value;
    bool tag;       /* text, to be read into whatever its column is */
    const char *at; /* of the key */
} part;

void row_begin_parts(decoder *d, const char *at);
/* `index` counts the parts of the row; UINT32_MAX = it is not worth remembering. */
void row_put_part(decoder *d, const part *p, uint32_t index);
/* A part of a flat row whose column is known and not yet set; its key is not looked at. */
void row_put_known(decoder *d, uint32_t column, const part *p);
/* The event time, or the moment of receipt where none was given and no part was it. In a store without event
 * time a member named `time`. */
void row_put_moment(decoder *d, bool given, int64_t us, const char *at);
void row_end_parts(decoder *d, const char *end);
#endif
