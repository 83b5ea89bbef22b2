/* What leads from one description of a table to another. Plain data and SQL text, without a database. */
#ifndef PENSTOCK_STORE_TABLE_CHANGE_H
#define PENSTOCK_STORE_TABLE_CHANGE_H
#include "store/table.h"

typedef enum table_change_kind {
    CHANGE_ADD_COLUMN,
    CHANGE_LOOSEN,
    CHANGE_WIDEN_INTEGER, /* integer to number: rewrites the table */
    CHANGE_REFUSED,       /* a removed or retyped column, another key, another entity */
} table_change_kind;

typedef struct table_change {
    table_change_kind kind;
    char column[64];  /* "" = the table as a whole */
    char detail[160]; /* for people */
} table_change;

/* Fills at most `max` of them; returns how many there are. */
uint32_t table_compare(const store_table *from, const store_table *to, table_change *out, uint32_t max);
/* Adds one to the actions of an ALTER TABLE in `sql`; nothing for one that is refused. */
void table_change_sql(text *sql, const store_table *to, const table_change *change);
#endif
