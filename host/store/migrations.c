/* One advisory lock for the whole run; each file in its own transaction together with its record. */
#include "store/migrations.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define LOCK_KEY 0x70656e73746f636bLL /* "penstock" */
#define MIGRATION_TIMEOUT_MS 600000

extern const migration migrations_control[], migrations_data[];
extern const uint32_t migrations_control_n, migrations_data_n;

const migration *migrations_list(migration_plane plane, uint32_t *n_out)
{
    *n_out = plane == MIGRATION_CONTROL ? migrations_control_n : migrations_data_n;
    return plane == MIGRATION_CONTROL ? migrations_control : migrations_data;
}

static void hash_of(const migration *m, char out[65])
{
    unsigned char bytes[32];
    crypto_generichash(bytes, sizeof bytes, (const unsigned char *)m->sql, m->len, NULL, 0);
    sodium_bin2hex(out, 65, bytes, sizeof bytes);
}

static const char make_record[] = "CREATE SCHEMA IF NOT EXISTS penstock; "
                                  "CREATE TABLE IF NOT EXISTS penstock.migration (number integer PRIMARY "
                                  "KEY, name text NOT NULL, hash text NOT NULL, "
                                  "applied timestamptz NOT NULL DEFAULT now())";

/* What was applied must be a prefix of what we have, unchanged. */
static status_class check_applied(const rows *r, const migration *list, uint32_t n, uint32_t *done_out,
                                  status *st)
{
    char hash[65];
    for (uint32_t i = 0; i < rows_count(r); i++) {
        if (i >= n || (int64_t)list[i].number != rows_integer(r, i, 0)) {
            status_set(st, STATUS_UNSUPPORTED,
                       "migrations: the database has %s, which this program does not know",
                       rows_text(r, i, 1));
            return status_hint(st, "it was used by a newer Penstock: install that version");
        }
        hash_of(&list[i], hash);
        if (strcmp(hash, rows_text(r, i, 2)) != 0)
            return status_set(st, STATUS_CONFLICT, "migrations: %s was changed after it was applied",
                              list[i].name);
    }
    *done_out = rows_count(r);
    return STATUS_OK;
}

static status_class apply_one(connection *c, const migration *m, status *st)
{
    char hash[65];
    hash_of(m, hash);
    value p[] = {value_integer(m->number), value_text(m->name), value_text(hash)};
    status_class ret = connection_begin(c, st);
    if (ret == STATUS_OK)
        ret = connection_script(c, m->name, m->sql, st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "INSERT INTO penstock.migration (number, name, hash) VALUES ($1, $2, $3)", p,
                              3, NULL, st);
    if (ret == STATUS_OK)
        ret = connection_commit(c, st);
    if (ret != STATUS_OK) {
        connection_rollback(c);
        return status_wrap(st, "migration %s", m->name);
    }
    log_info("migrations", "applied", LOG_TEXT("name", m->name));
    return STATUS_OK;
}

static status_class apply_all(connection *c, const migration *list, uint32_t n, uint32_t *applied, status *st)
{
    rows *r = NULL;
    uint32_t done = 0;
    status_class ret = connection_script(c, "migrations", make_record, st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "SELECT number, name, hash FROM penstock.migration ORDER BY number", NULL, 0,
                              &r, st);
    if (ret == STATUS_OK)
        ret = check_applied(r, list, n, &done, st);
    rows_free(r);
    for (uint32_t i = done; i < n && ret == STATUS_OK; i++) {
        ret = apply_one(c, &list[i], st);
        *applied += ret == STATUS_OK;
    }
    return ret;
}

status_class migrations_apply(connection *c, const migration *list, uint32_t n, uint32_t *applied_out,
                              status *st)
{
    value key = value_integer(LOCK_KEY);
    uint32_t applied = 0;
    status unlock_status;
    status_class ret = connection_set_timeout(c, MIGRATION_TIMEOUT_MS, st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "SELECT pg_advisory_lock($1)", &key, 1, NULL, st);
    if (ret != STATUS_OK)
        return ret;
    ret = apply_all(c, list, n, &applied, st);
    if (!connection_broken(c)) {
        connection_exec(c, "SELECT pg_advisory_unlock($1)", &key, 1, NULL, &unlock_status);
        connection_set_timeout(c, CONNECTION_TIMEOUT_MS, &unlock_status);
    }
    if (applied_out)
        *applied_out = applied;
    return ret;
}

status_class migrations_run(connection *c, migration_plane plane, uint32_t *applied_out, status *st)
{
    uint32_t n;
    const migration *list = migrations_list(plane, &n);
    return migrations_apply(c, list, n, applied_out, st);
}
