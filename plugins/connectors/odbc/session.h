/* What the files of the connector share: one connection by ODBC and what is read through it. Its calls block
 * and know no descriptor to wait for, so each runs as a job (job.h), and what came of it is noted here. */
#ifndef ODBC_SESSION_H
#define ODBC_SESSION_H
#include <sql.h>
#include <sqlext.h>

#include "driver.h"
#include "job.h"

enum {
    SECRET_MAX = 4096,
    BLOCK_BYTES = 1 << 20,
    BLOCK_ROWS = 2000,
    CHUNK_BYTES = 8192,
    WORDS_MAX = 300,
    TABLES_MAX = 500,
    LISTED_MAX = 20000,
    RETRY_MS = 2000
};

typedef struct cell { /* a value in the block */
    size_t at, len;   /* len SIZE_MAX = null */
} cell;

typedef struct odbc {
    driver base;
    tcp_place place;
    job job, cancel; /* cancel: SQLCancel, which may hang as well */
    SQLHENV env;
    SQLHDBC dbc;
    SQLHSTMT statement;
    char quote[8];
    wording text; /* of the job: connection string, or statement */
    driver_parameter parameters[DRIVER_PARAMETERS_MAX];
    SQLLEN lengths[DRIVER_PARAMETERS_MAX];
    char *values[DRIVER_PARAMETERS_MAX];
    size_t n_parameters;
    driver_column *columns; /* of describe, for types; DRIVER_COLUMNS_MAX */
    SQLSMALLINT n_columns;
    uint64_t shape; /* of them, as they were described */
    /* the block */
    wording bytes;
    cell *cells;
    uint32_t rows, next, most;
    bool executed, last;
    const char *table;
    driver_listed *listed;
    char *names; /* of the tables: schema and name, DRIVER_NAME_MAX each */
    size_t n_listed, n_tables;
    /* what came of the job */
    bool failed;
    char state[6], words[WORDS_MAX];
} odbc;

static inline odbc *of(driver *d)
{
    return (odbc *)d;
}

/* In a job: did it go well? If not, why is noted. */
bool session_well(odbc *o, SQLRETURN code, SQLSMALLINT kind, SQLHANDLE handle);
/* Runs a job to its end; PST_E_UNAVAILABLE if that takes longer than a few seconds. */
pst_status session_do(odbc *o, const pst_call *call, void (*work)(void *), pst_error *error);
pst_status session_failed(odbc *o, pst_error *error); /* what was noted, as a status */

/* In a job: which columns the statement has, hashed. */
uint64_t catalogue_shape(odbc *o);

/* Of driver_functions. */
pst_status session_connect(driver *d, const pst_call *call, pst_error *error);
void session_disconnect(driver *d);
pst_status catalogue_describe(driver *d, const pst_call *call, const char *query, driver_column *out,
                              size_t *n_out, pst_error *error);
pst_status catalogue_list(driver *d, const pst_call *call, const char *table, driver_on_listed on_listed,
                          void *arg, pst_error *error);
#endif
