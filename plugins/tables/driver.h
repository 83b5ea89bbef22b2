/* What a database must be able to do for tables.h: describe a query, run one behind a server-side cursor and
 * hand its rows over one by one as texts, list its tables. One for each way to databases (libpq, ODBC); the
 * plugin makes it, tables_free ends it. Calls run one at a time; those that may wait end with the call's
 * deadline or cancel. */
#ifndef TABLES_DRIVER_H
#define TABLES_DRIVER_H
#include "penstock/batch.h"
#include "wording.h"

enum {
    DRIVER_NAME_MAX = 128,      /* bytes of a column's name, with its NUL */
    DRIVER_COLUMNS_MAX = 500,   /* of one query */
    DRIVER_PARAMETERS_MAX = 32, /* of one statement */
    DRIVER_SLICE_US = 1000000,  /* how long `next` waits before it answers IDLE */
    DRIVER_QUICK_US =
        3000000, /* how long the far side may be silent where it is not the query that takes long */
};

/* What becomes of a column's values. */
typedef enum driver_kind {
    DRIVER_BOOLEAN = 1,
    DRIVER_INTEGER,
    DRIVER_NUMBER,
    DRIVER_TIME,  /* a moment, text with an offset */
    DRIVER_LOCAL, /* date and time by the clock of the configured zone */
    DRIVER_DATE,
    DRIVER_UUID,
    DRIVER_JSON,
    DRIVER_TEXT,
    DRIVER_REFUSED /* nothing: `type` says why */
} driver_kind;

typedef struct driver_column {
    char name[DRIVER_NAME_MAX], type[DRIVER_NAME_MAX]; /* type: as the database calls it */
    driver_kind kind;
    int native; /* the driver's own number for the type */
} driver_column;

typedef struct driver_value { /* not NUL-terminated; data NULL = null */
    const char *data;
    size_t len;
} driver_value;

typedef struct driver_parameter {
    driver_value value;
    const driver_column *like; /* of which column's type it is, or NULL: as the query has it */
} driver_parameter;

typedef struct driver_listed { /* one column of a table, for discover; those of a table come together */
    const char *schema, *table;
    driver_column column;
    bool never_null;
    int key_place; /* 1, 2, … in the primary key; 0 = none */
} driver_listed;
typedef bool (*driver_on_listed)(void *arg, const driver_listed *one); /* false: enough */

typedef struct driver driver;
typedef struct driver_functions {
    void (*free)(driver *d); /* disconnects; half-built is fine */
    pst_status (*connect)(driver *d, const pst_call *call,
                          pst_error *error); /* OK when it is connected already */
    void (*disconnect)(driver *d);
    void (*quote)(driver *d, wording *w, const char *name);
    void (*mark)(driver *d, wording *w,
                 size_t number); /* a parameter's place, from 1, in the order of the text */
    /* PST_E_CONFIG with where "/query": the database does not understand it. */
    pst_status (*describe)(driver *d, const pst_call *call, const char *query, driver_column *out,
                           size_t *n_out, pst_error *error);
    /* Opens a read-only transaction and a cursor in it. */
    pst_status (*begin)(driver *d, const pst_call *call, const char *query,
                        const driver_parameter *parameters, size_t n, pst_error *error);
    /* One row; the values live until the next call. PST_END: there are no more. PST_IDLE: none yet. `most`:
     * so many are wanted for now. PST_E_UNAVAILABLE also when the rows have other columns than were
     * described: they are to be described anew. */
    pst_status (*next)(driver *d, const pst_call *call, uint32_t most, driver_value *values,
                       pst_error *error);
    pst_status (*end)(driver *d, const pst_call *call, pst_error *error); /* of the transaction, at any row */
    /* `table` ("name" or "schema.name"): only that one; NULL: all that can be read. */
    pst_status (*list)(driver *d, const pst_call *call, const char *table, driver_on_listed on_listed,
                       void *arg, pst_error *error);
} driver_functions;

struct driver { /* first member of an implementation */
    const driver_functions *functions;
    const pst_host *host;
};
#endif
