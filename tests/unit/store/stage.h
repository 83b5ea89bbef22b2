/* A data plane as the host makes it, with workspaces of one table, `sensor_data` (time, device_id, pressure,
 * flow, status; key device_id and time, a partition a month), and rows for it. */
#ifndef PENSTOCK_TESTS_STORE_STAGE_H
#define PENSTOCK_TESTS_STORE_STAGE_H
#include "support/check.h"

#include "store/table.h"
#include "store/upsert.h"
#include "support/cluster.h"

#define DB "penstock_data"
#define T0 1767225600000000LL /* 2026-01-01 */

/* Of the group: the superuser's connection to the cluster, the host's to DB. NULL without a cluster. */
extern connection *super, *service;
int stage_set_up(void **state);
int stage_tear_down(void **state);

store_table keyed(int32_t wid, table_conflict conflict);
/* The first value of the first row. */
int64_t ask_number(connection *c, const char *sql);
void ask_text(connection *c, const char *sql, char out[256]);

/* Everything twice: making and dropping what is there or gone is fine. `login` (may be NULL): the workspace's
 * own connection, closed by drop_workspace. */
void make_workspace(int32_t wid, connection **login, store_table *store, table_conflict conflict);
void drop_workspace(int32_t wid, connection *login);

typedef struct sample {
    const char *device;
    int64_t minute;
    double pressure, flow; /* < 0: null, < -1: absent */
} sample;

/* A batch of the table's five columns; status is always null. */
typedef struct sample_batch {
    batch b;
    column columns[5];
    int64_t times[64];
    double pressure[64], flow[64];
    int32_t offsets[65], empty[65];
    char text[1024];
    uint8_t valid[3][8], present[2][8];
} sample_batch;

/* `n` at most 64; lives as long as `s`. */
const batch *make_batch(sample_batch *s, const sample *list, uint32_t n);
void write_rows(const store_table *t, const sample *list, uint32_t n, int64_t first_seq,
                upsert_counts *counts);
#endif
