/* collectd's value list as rows: one a value, with time, host, plugin, plugin_instance, type, type_instance,
 * ds, value; dstype and interval too, where the store has a column of that name. Private to decode*.c.
 *
 * The time is the store's event time. A value that collectd does not know (NaN, U) is null, so it needs a
 * column that takes null. Empty instances are empty text, not null: they are part of what names a row. */
#ifndef PENSTOCK_FLOW_COLLECTD_ROW_H
#define PENSTOCK_FLOW_COLLECTD_ROW_H
#include "flow/decode_part.h"

#define COLLECTD_VALUES_MAX 256 /* of one value list; collectd's own types have at most a dozen */

typedef struct collectd_value {
    bool known;
    number_text number;
    line_text ds, dstype; /* dstype len 0 = not said */
    const char *at;
} collectd_value;

typedef enum collectd_name {
    COLLECTD_HOST,
    COLLECTD_PLUGIN,
    COLLECTD_PLUGIN_INSTANCE,
    COLLECTD_TYPE,
    COLLECTD_TYPE_INSTANCE,
    COLLECTD_NAMES
} collectd_name;
extern const char *const collectd_names[COLLECTD_NAMES];

typedef struct collectd_list {
    const char *at, *end; /* its bytes in the body */
    line_text names[COLLECTD_NAMES];
    bool timed, has_interval; /* without a time it is now */
    number_text time, interval;
    uint32_t n;
    collectd_value values[COLLECTD_VALUES_MAX];
} collectd_list;

/* The rows of a list. */
void collectd_put(decoder *d, const collectd_list *list);
/* One rejected row for a list that cannot be read. */
void collectd_refuse(decoder *d, const char *at, const char *end, const char *code, const char *fault_at,
                     const char *detail);
#endif
