/* The inside of a reshape_plan: what reshape_plan.c makes of a connector's `decode` and reshape.c follows. */
#ifndef PENSTOCK_FLOW_RESHAPE_PLAN_H
#define PENSTOCK_FLOW_RESHAPE_PLAN_H
#include "flow/json_path.h"
#include "flow/reshape.h"

typedef enum reshape_from {
    RESHAPE_MEMBER, /* of that whole name, of the row */
    RESHAPE_PATH,
    RESHAPE_TOPIC, /* `$topic` */
    RESHAPE_SEGMENT,
    RESHAPE_META, /* `$meta.name` */
    RESHAPE_RECEIVED,
    RESHAPE_CONSTANT
} reshape_from;

typedef struct reshape_entry { /* one column */
    reshape_from from;
    const char *lead; /* `"column":` */
    uint32_t lead_len;
    column_type type;
    bool unix_time; /* of a timestamp: it is a number */
    bool convert;
    json_path path;       /* of a member too: one step */
    int32_t segment;      /* from 0, negative from the end */
    const char *constant; /* JSON; of a fact beside the payload its name */
    uint32_t constant_len;
} reshape_entry;

typedef struct reshape_name {
    const char *data;
    uint32_t len;
} reshape_name;

struct reshape_plan {
    arena *a;
    const row_plan *rows;
    bool has_path; /* otherwise: the items of an array, or the value itself */
    json_path path;
    bool keep_unmapped;
    bool reads_row;     /* some column is read from the row, so it need not be an object */
    bool whole_row;     /* some column is the row itself: its members are not columns */
    bool *taken;        /* by column: it comes from an entry */
    reshape_name *used; /* members of the row that entries read */
    uint32_t n_used, n_entries;
    reshape_entry *entries;
};
#endif
