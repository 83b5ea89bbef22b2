/* What the settings ask for, and the statements that follow from it. Names are quoted by the driver; values
 * are parameters, never text of a statement. */
#ifndef TABLES_STATEMENT_H
#define TABLES_STATEMENT_H
#include "mark.h"

typedef struct setup { /* texts are the host's, and live until destroy */
    const char *table, *query, *cursor, *start, *keys[MARK_KEYS_MAX], *parameters[DRIVER_PARAMETERS_MAX];
    size_t n_keys, n_parameters;
    double overlap;
} setup;

/* PST_E_CONFIG with where. */
pst_status setup_read(const pst_host *host, setup *out, pst_error *error);

typedef struct layout { /* the query's columns; those that the settings name are found */
    driver_column columns[DRIVER_COLUMNS_MAX];
    size_t n, cursor, keys[MARK_KEYS_MAX];
} layout;

/* The author's query, or the whole table. */
void statement_query(driver *d, const setup *s, wording *out);

typedef struct statement {
    wording text;
    driver_parameter parameters[DRIVER_PARAMETERS_MAX];
    size_t n;
    char from[64]; /* where the overlap begins */
} statement;

/* Rows behind the mark, in order; all of them without a cursor column. What it borrows is the mark's. False:
 * the mark's value has no place to go back from. */
bool statement_poll(driver *d, const setup *s, const layout *l, const mark *m, statement *out);
/* Values of the cursor column before the mark's. */
void statement_behind(driver *d, const setup *s, const layout *l, const mark *m, statement *out);
void statement_clear(statement *st);
#endif
