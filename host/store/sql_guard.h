/* The first wall around SQL that people write (metrics, featurestores): what it may say, and the text that is
 * sent instead.
 *
 * scan (token limit) → references and :parameters put into a form that PostgreSQL's grammar takes → parse →
 * walk of the tree → deparse. Exactly one SELECT (or VALUES); a relation is either a reference
 * (`datastore:key`, `featurestore:key`, `inferencestore:key`) or a CTE in scope where it stands; functions,
 * and types come from allow-lists; no INTO, no row locks, no SELECT with side effects. The deparsed
 * tree is what is sent; the author's text never is. The second wall is the workspace's own login (roles.h).
 *
 * [any thread]; works on a thread of its own with a known stack, so no input can overflow the caller's.
 * 20–200 µs a call and more: callers cache the result. Errors are STATUS_INVALID with where = "line:column"
 * in the author's text. */
#ifndef PENSTOCK_STORE_SQL_GUARD_H
#define PENSTOCK_STORE_SQL_GUARD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

#define SQL_GUARD_BYTES_MAX 32768
#define SQL_GUARD_TOKENS_MAX 2000
#define SQL_GUARD_PARAMS_MAX 100
#define SQL_GUARD_REFERENCES_MAX 64

typedef struct sql_target {
    const char *schema;   /* NULL = unqualified: the caller wraps the statement in a CTE of that name */
    const char *relation; /* must live until sql_guard_check returns */
} sql_target;
/* Names the relation for a reference; STATUS_NOT_FOUND and the like become the error at its place. */
typedef status_class (*sql_resolve)(void *arg, const char *store_class, const char *key, sql_target *out,
                                    status *st);

typedef struct sql_guard_options {
    sql_resolve resolve; /* NULL: the reference itself, unqualified ("datastore:key"); for sql_refs and
                            offline checks */
    void *arg;
    const char *const *params; /* declared parameters; NULL = any name goes */
    uint32_t n_params;
} sql_guard_options;

typedef struct sql_reference {
    const char *store_class, *key;
} sql_reference;

typedef struct sql_statement {
    const char *sql;           /* to be sent */
    const char *const *params; /* name of $1, $2, …; each once */
    uint32_t n_params;
    const sql_reference *references; /* each once, in order of appearance */
    uint32_t n_references;
    bool uses_neighbours; /* window functions, locf, gapfill, integrals: a featurestore must declare its reach
                           */
    bool is_aggregate;    /* has GROUP BY or an aggregate at the top level */
    const char *const
        *columns; /* names of the output columns; NULL entries where the text does not say (`*`) */
    uint32_t n_columns;
    /* The statement is the newest row (greatest latest_time) of each latest_by of its one store and nothing
     * else; n_latest_by 0: it is not, or that is not seen. */
    const char *const *latest_by;
    uint32_t n_latest_by;
    const char *latest_time;
} sql_statement;

/* `out` and all it points to live in the arena. */
status_class sql_guard_check(arena *a, const char *sql, size_t len, const sql_guard_options *options,
                             const sql_statement **out, status *st);
/* Which stores a statement reads; for the order of refreshes. */
status_class sql_refs(arena *a, const char *sql, size_t len, const sql_reference **out, uint32_t *n_out,
                      status *st);
#endif
