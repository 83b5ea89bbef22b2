/* The rows of a CSV file as a model wants them: `_entity` (one, "file"), `_time`, and the chosen columns as
 * numbers. */
#ifndef PENSTOCK_CLI_MODEL_ROWS_H
#define PENSTOCK_CLI_MODEL_ROWS_H
#include "base/arena.h"
#include "base/batch_builder.h"
#include "base/status.h"

#define MODEL_ROWS_MAX 5000000U
#define MODEL_COLUMNS_MAX 64U

typedef struct model_rows_source {
    const char *file;
    char separator;
    const char *time, *columns; /* "a,b" */
} model_rows_source;

typedef struct model_rows {
    arena *arena;
    const char **names; /* _entity, _time, then the columns */
    uint32_t n_columns;
    column_type *types;
    batch_builder *builder;
    batch all;
    char **times;               /* as written in the file */
    uint32_t n, cap, backwards; /* backwards: rows whose time was before the last one's */
} model_rows;

/* Empty cells are nulls. STATUS_INVALID names the line. A row that steps back in time gets the time of the
 * row before it, and a note is printed. */
status_class model_rows_read(const model_rows_source *source, model_rows *out, status *st);
/* Rows [from, to) in a builder of their own, the caller's. */
batch_builder *model_rows_part(const model_rows *r, uint32_t from, uint32_t to);
void model_rows_free(model_rows *r); /* zeroed is fine */
#endif
