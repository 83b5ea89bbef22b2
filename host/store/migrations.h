/* Numbered SQL files, migrations/{control,data}/NNNN_name.sql, embedded at build: forward only, each once, in
 * order, each in its own transaction together with its record (number, name, hash), all under one advisory
 * lock so that several hosts may start together. A file that was applied and then changed, or a database
 * newer than this program, is refused. */
#ifndef PENSTOCK_STORE_MIGRATIONS_H
#define PENSTOCK_STORE_MIGRATIONS_H
#include <stdint.h>

#include "store/connection.h"

typedef struct migration {
    uint32_t number;
    const char *name; /* "0001_base" */
    const char *sql;
    size_t len;
} migration;

typedef enum migration_plane { MIGRATION_CONTROL, MIGRATION_DATA } migration_plane;

const migration *migrations_list(migration_plane plane, uint32_t *n_out);
/* Brings a database up to date; *applied_out (may be NULL) counts what ran now. */
status_class migrations_run(connection *c, migration_plane plane, uint32_t *applied_out, status *st);
/* The same with a list of one's own. */
status_class migrations_apply(connection *c, const migration *list, uint32_t n, uint32_t *applied_out,
                              status *st);
#endif
