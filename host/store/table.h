/* What a store looks like in the database: the description from which tables, indexes, COPY and upserts are
 * made. Plain data, filled by whoever owns the effective definition; every pointer must outlive the calls
 * that take it.
 *
 * Columns stand in the order: `columns` (declared), then `_extra jsonb` (has_extra), then `_seq bigint,
 * _received timestamptz` (datastores only). An inferencestore's `_model text, _version bigint, _run text,
 * _features timestamptz` are listed in `columns` like any other. Relations are `{schema}.{key}_wid{N}`,
 * helpers `{key}__{what}_wid{N}`. */
#ifndef PENSTOCK_STORE_TABLE_H
#define PENSTOCK_STORE_TABLE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/status.h"
#include "base/text.h"

#define TABLE_COLUMNS_MAX 400
#define TABLE_KEY_COLUMNS_MAX 16
#define TABLE_NAME_SIZE 64
#define TABLE_LABEL_SIZE 136

typedef enum store_class { STORE_DATASTORE, STORE_FEATURESTORE, STORE_INFERENCESTORE } store_class;

typedef struct table_column {
    const char *name;
    column_type type;
    bool nullable;
    uint32_t max_bytes; /* text: longest value in bytes (4 × maxLength, longest enum word); 0 = unknown */
} table_column;

typedef enum table_conflict {
    CONFLICT_APPEND, /* no natural key: rows never collide, COPY goes straight in */
    CONFLICT_KEEP_FIRST,
    CONFLICT_KEEP_LAST,
    CONFLICT_MERGE,
} table_conflict;

typedef enum partition_width {
    PARTITION_NONE,
    PARTITION_DAY,
    PARTITION_WEEK, /* from Monday */
    PARTITION_MONTH,
    PARTITION_YEAR,
} partition_width;

typedef struct store_table {
    store_class class;
    const char *key;
    /* NULL = the store itself; "next": the table that is built beside it, {key}__next_wid{N} */
    const char *part;
    int32_t wid;
    const table_column *columns;
    uint32_t n_columns;
    int32_t time_column;    /* index into columns; -1 = none */
    const uint32_t *entity; /* indexes into columns */
    uint32_t n_entity;
    /* the natural key, any order; for feature- and inferencestores the store's `key` */
    const uint32_t *unique;
    uint32_t n_unique; /* 0 = append-only */
    table_conflict conflict;
    int32_t version_column; /* order of corrections by this column instead of _seq; -1 = _seq */
    /* datastores; NONE unless `unique` (when there is one) holds the time column */
    partition_width partition;
    bool has_extra;
    bool seq_index; /* keep {key}__seq_wid{N}: a sink or live view reads by _seq */
} store_table;

const char *store_class_schema(store_class class); /* "datastore", "featurestore", "inferencestore" */
bool store_class_parse(const char *word, store_class *out);
/* `{key}_wid{N}`, or `{key}__{what}_wid{N}` when `what` is not NULL. */
void table_name(char out[TABLE_NAME_SIZE], const char *key, const char *what, int32_t wid);
/* "schema"."relation", quoted; of the table's part, if it has one. */
void table_label(char out[TABLE_LABEL_SIZE], const store_table *table);
/* Bug checks of a description (indexes in range, sizes, partition without time): STATUS_INVALID names what is
 * wrong. */
status_class table_check(const store_table *table, status *st);
const char *column_sql_type(column_type type);
uint32_t column_oid(column_type type);
uint32_t column_array_oid(column_type type);

/* The one place where identifiers and literals are quoted. */
void sql_identifier(text *out, const char *name);
void sql_literal(text *out, const char *value);
#endif
