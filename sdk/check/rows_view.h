/* Rows of a file as a call into a cell wants them: the same memory with the host's names on it. */
#ifndef PENSTOCK_CHECK_ROWS_VIEW_H
#define PENSTOCK_CHECK_ROWS_VIEW_H
#include "check/rows.h"
#include "plugin/instance.h"

typedef struct rows_view {
    const char **names;
    column *columns;
    batch rows;
} rows_view;

/* `b` comes from rows_read and must outlive the view. */
void rows_view_make(const pst_batch *b, rows_view *out);
void rows_view_free(rows_view *v); /* zeroed is fine */
instance_input rows_view_input(const rows_view *v, const char *name);
/* One JSON object a row, as rows_write has it. */
void rows_view_write(const instance_batch *b, text *out);
#endif
