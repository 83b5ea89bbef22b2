/* Made once for a test program; each test makes and drops its own workspaces. */
#include "stage.h"

#include <stdio.h>
#include <string.h>

#include "store/migrations.h"
#include "store/partitions.h"
#include "store/roles.h"
#include "store/workspace_schema.h"

connection *super, *service;

static const table_column readings[] = {
    {"time", COLUMN_TIMESTAMP, false, 0}, {"device_id", COLUMN_TEXT, false, 64},
    {"pressure", COLUMN_NUMBER, true, 0}, {"flow", COLUMN_NUMBER, true, 0},
    {"status", COLUMN_TEXT, true, 20},
};
static const uint32_t entity[] = {1}, natural_key[] = {1, 0};

store_table keyed(int32_t wid, table_conflict conflict)
{
    return (store_table){.class = STORE_DATASTORE,
                         .key = "sensor_data",
                         .wid = wid,
                         .columns = readings,
                         .n_columns = 5,
                         .time_column = 0,
                         .entity = entity,
                         .n_entity = 1,
                         .unique = natural_key,
                         .n_unique = 2,
                         .conflict = conflict,
                         .version_column = -1,
                         .partition = PARTITION_MONTH};
}

int64_t ask_number(connection *c, const char *sql)
{
    rows *r;
    status st;
    OK(connection_exec(c, sql, NULL, 0, &r, &st));
    int64_t n = rows_integer(r, 0, 0);
    rows_free(r);
    return n;
}

void ask_text(connection *c, const char *sql, char out[256])
{
    rows *r;
    status st;
    OK(connection_exec(c, sql, NULL, 0, &r, &st));
    snprintf(out, 256, "%s", rows_count(r) ? rows_text(r, 0, 0) ? rows_text(r, 0, 0) : "null" : "no row");
    rows_free(r);
}

int stage_set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    super = test_connect("postgres");
    OK(roles_service_create(super, "penstock", "service-password", &st));
    OK(roles_database_create(super, DB, "penstock", &st));
    connection *inside = test_connect(DB);
    OK(roles_database_close(inside, DB, "penstock", &st));
    OK(roles_database_close(inside, DB, "penstock", &st)); /* again is fine */
    connection_close(inside);
    service = test_connect_as(DB, "penstock", "service-password");
    uint32_t applied;
    OK(migrations_run(service, MIGRATION_DATA, &applied, &st));
    assert_true(applied >= 2);
    OK(migrations_run(service, MIGRATION_DATA, &applied, &st));
    assert_int_equal(applied, 0);
    return 0;
}

int stage_tear_down(void **state)
{
    (void)state;
    connection_close(service);
    connection_close(super);
    return 0;
}

void make_workspace(int32_t wid, connection **login, store_table *store, table_conflict conflict)
{
    status st;
    char role[ROLE_NAME_SIZE], password[ROLE_PASSWORD_SIZE];
    role_name(role, "0123abcd", wid);
    role_password(password);
    OK(role_create(service, role, password, &st));
    OK(role_create(service, role, password, &st));
    OK(workspace_schema_create(service, wid, role, &st));
    OK(workspace_schema_create(service, wid, role, &st));
    *store = keyed(wid, conflict);
    OK(store_create(service, store, role, &st));
    OK(store_create(service, store, role, &st));
    if (login)
        *login = test_connect_as(DB, role, password);
}

void drop_workspace(int32_t wid, connection *login)
{
    status st;
    char role[ROLE_NAME_SIZE];
    role_name(role, "0123abcd", wid);
    connection_close(login);
    OK(workspace_schema_drop(service, wid, &st));
    OK(role_drop(service, role, &st));
    OK(role_drop(service, role, &st));
}

static void put_number(sample_batch *s, int which, double *list, uint32_t i, double v)
{
    list[i] = v;
    if (v >= 0)
        s->valid[which][i >> 3] |= (uint8_t)(1u << (i & 7));
    if (v >= -1)
        s->present[which][i >> 3] |= (uint8_t)(1u << (i & 7));
}

const batch *make_batch(sample_batch *s, const sample *list, uint32_t n)
{
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < n; i++) {
        s->times[i] = T0 + list[i].minute * 60000000;
        put_number(s, 0, s->pressure, i, list[i].pressure);
        put_number(s, 1, s->flow, i, list[i].flow);
        size_t len = strlen(list[i].device);
        memcpy(s->text + s->offsets[i], list[i].device, len);
        s->offsets[i + 1] = s->offsets[i] + (int32_t)len;
    }
    s->columns[0] = (column){.type = COLUMN_TIMESTAMP, .values = s->times};
    s->columns[1] = (column){.type = COLUMN_TEXT, .offsets = s->offsets, .data = s->text};
    s->columns[2] = (column){
        .type = COLUMN_NUMBER, .values = s->pressure, .valid = s->valid[0], .present = s->present[0]};
    s->columns[3] =
        (column){.type = COLUMN_NUMBER, .values = s->flow, .valid = s->valid[1], .present = s->present[1]};
    s->columns[4] = (column){
        .type = COLUMN_TEXT, .offsets = s->empty, .data = "", .valid = s->valid[2], .present = s->valid[2]};
    s->b = (batch){.n_rows = n, .n_columns = 5, .columns = s->columns};
    return &s->b;
}

void write_rows(const store_table *t, const sample *list, uint32_t n, int64_t first_seq,
                upsert_counts *counts)
{
    status st;
    sample_batch s;
    const batch *b = make_batch(&s, list, n);
    partition_cache *cache = partition_cache_create();
    upsert *u = upsert_create(t);
    OK(partitions_ensure(cache, service, t, s.times, n, &st));
    OK(connection_begin(service, &st));
    OK(upsert_write(service, u, b, first_seq, T0, counts, &st));
    OK(connection_commit(service, &st));
    upsert_free(u);
    partition_cache_free(cache);
}
