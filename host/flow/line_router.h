/* A body of line protocol for several stores: each line goes to the store that its measurement names.
 *
 * Used by one thread at a time and kept: once warm it does not allocate. Rows are numbered through the body,
 * whatever store they go to. */
#ifndef PENSTOCK_FLOW_LINE_ROUTER_H
#define PENSTOCK_FLOW_LINE_ROUTER_H
#include "flow/decode.h"
#include "flow/plan.h"

typedef struct line_router line_router;

/* The store of a measurement; NULL = the sender has none of this name. */
typedef const datastore_plan *(*line_router_find)(void *arg, const char *measurement);

typedef struct line_part { /* what one store gets */
    const datastore_plan *store;
    decode_result result;
} line_part;

typedef struct line_routed { /* lives until the router's next use */
    const line_part *parts;
    uint32_t n_parts;
    const decode_reject *strays; /* lines that have no store: code "unknown_store", or no measurement */
    size_t n_strays;
} line_routed;

line_router *line_router_create(void);
void line_router_free(line_router *r); /* NULL is fine */
/* STATUS_LIMIT: too long, too many rows (context->rows) or more than `stores_max` stores. */
status_class line_router_body(line_router *r, line_router_find find, void *arg, uint32_t stores_max,
                              const decode_context *context, const char *body, size_t len, line_routed *out,
                              status *st);
#endif
