/* The SQL that makes a store's table and its indexes. Text only: nothing here talks to a server.
 *
 * A table is made in two steps: first the columns of fixed width, then ALTER TABLE adds the text and JSON
 * ones, with STORAGE PLAIN where the longest value is known to be short. So a store without long text has no
 * TOAST table (two relations less, for every partition), and the fixed columns lie packed at the front of the
 * row. Columns are named by their index into store_table.columns. */
#ifndef PENSTOCK_STORE_TABLE_DDL_H
#define PENSTOCK_STORE_TABLE_DDL_H
#include "store/table.h"

/* Everything that makes the table, as statements separated by `;`. */
void table_ddl_create(text *sql, const store_table *t);
/* A column as CREATE TABLE or ADD COLUMN take it: name, type, collation, NOT NULL. */
void table_ddl_column(text *sql, const store_table *t, uint32_t column);
/* The index by _seq; they begin with a `;`. */

/* Is it NOT NULL: so declared, part of the natural key, or what the table is partitioned by? */
bool table_column_required(const store_table *t, uint32_t column);
/* Is it stored PLAIN? In the columns' order, while the row still fits a page. */
bool table_column_plain(const store_table *t, uint32_t column);
#endif
