/* The walk over a parsed statement, for sql_guard: checks every node, names the relations, notes what the
 * statement is. */
#ifndef PENSTOCK_STORE_SQL_TREE_H
#define PENSTOCK_STORE_SQL_TREE_H
#include <pg_query/pg_query.pb-c.h>

#include "store/sql_guard.h"

typedef struct sql_tree {
    arena *memory;
    const sql_guard_options *options;
    status *st;
    int32_t location; /* byte in the rewritten text of the node at fault; -1 = not known */
    unsigned n_params;
    sql_reference references[SQL_GUARD_REFERENCES_MAX];
    uint32_t n_references;
    bool uses_neighbours, is_aggregate;
} sql_tree;

/* Changes the tree in place: references become the relations that the resolver names. */
status_class sql_tree_check(sql_tree *t, PgQuery__ParseResult *parsed);
/* Names of the output columns, in the arena. */
const char *const *sql_tree_columns(arena *a, const PgQuery__ParseResult *parsed, uint32_t *n_out);
#endif
