/* The parameters of a statement as libpq takes them. Texts go as texts, everything else in its binary form.
 */
#ifndef PENSTOCK_STORE_LIBPQ_PARAMETERS_H
#define PENSTOCK_STORE_LIBPQ_PARAMETERS_H
#include <libpq-fe.h>

#include "base/arena.h"
#include "store/connection.h"

typedef struct libpq_parameters { /* one element a parameter; all in the arena */
    Oid *types;
    const char **values;
    int *lengths, *formats;
} libpq_parameters;

/* Values of the request are borrowed. STATUS_INVALID: a text holds U+0000, which PostgreSQL cannot store. */
status_class libpq_parameters_make(arena *a, const driver_request *r, libpq_parameters *p,
                                   connection_failure *failure, status *st);
#endif
