/* Roles and what PUBLIC loses. The statements are blocks of their own, so that an administrator can read what
 * is done. */
#include "store/roles.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "store/table.h"

/* Functions that a workspace could reach out, wait, spy or fill the server with. Names, all of their
 * signatures. */
static const char close_functions[] =
    "DO $block$ DECLARE f record; BEGIN "
    "FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = "
    "'pg_catalog'::regnamespace AND ("
    "p.proname ~ '^pg_(try_)?advisory' OR p.proname ~ '_to_xml' OR p.proname ~ '_to_xmlschema' OR p.proname "
    "~ '^lo' "
    "AND p.proname ~ '^(lo_|loread|lowrite)' OR p.proname ~ "
    "'^pg_(read|ls|stat_file|current_logfile|logical|replication|"
    "create_|drop_|copy_|switch|promote|terminate|cancel|reload|rotate|notify|export|log_backend|get_wal|"
    "walfile|sleep)' "
    "OR p.proname ~ '^pg_stat_get' OR p.proname IN ('set_config', 'dblink', 'query_to_xml', 'cursor_to_xml', "
    "'pg_get_viewdef', 'inet_server_addr', 'inet_client_addr', 'pg_file_write')) LOOP "
    "EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.name); END LOOP; "
    /* the host itself takes advisory locks and waits */
    "FOR f IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = "
    "'pg_catalog'::regnamespace "
    "AND (p.proname ~ '^pg_(try_)?advisory' OR p.proname ~ '^pg_stat_get' OR p.proname IN ('set_config', "
    "'pg_sleep', "
    "'pg_cancel_backend', 'pg_terminate_backend', 'pg_notify')) LOOP "
    "EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f.name, current_setting('penstock.owner')); END "
    "LOOP; "
    "END $block$";

static const char close_views[] =
    "DO $block$ DECLARE v record; BEGIN "
    "FOR v IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = "
    "'pg_catalog'::regnamespace "
    "AND c.relkind IN ('v', 'r') AND c.relname ~ "
    "'^(pg_stat|pg_locks|pg_settings|pg_file_settings|pg_prepared|pg_cursors|"
    "pg_roles|pg_user|pg_group|pg_shadow|pg_hba|pg_ident|pg_config|pg_backend|pg_shmem|pg_replication|pg_"
    "publication|"
    "pg_subscription|pg_largeobject|pg_db_role_setting|pg_policies|pg_rules|pg_views|pg_matviews|pg_tables|"
    "pg_indexes|"
    "pg_sequences|pg_seclabel)' LOOP "
    "EXECUTE format('REVOKE ALL ON TABLE %s FROM PUBLIC', v.name); "
    "EXECUTE format('GRANT SELECT ON TABLE %s TO %I', v.name, current_setting('penstock.owner')); END LOOP; "
    "EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA information_schema FROM PUBLIC'; END $block$";

static status_class run(connection *c, const char *name, const char *before, const char *who,
                        const char *after, status *st)
{
    text sql = {0};
    text_add(&sql, before);
    sql_identifier(&sql, who);
    text_add(&sql, after);
    status_class ret = connection_script(c, name, sql.data, st);
    text_free(&sql);
    return ret;
}

static status_class exists(connection *c, const char *sql, const char *name, bool *out, status *st)
{
    rows *r;
    value v = value_text(name);
    status_class ret = connection_exec(c, sql, &v, 1, &r, st);
    if (ret == STATUS_OK) {
        *out = rows_count(r) > 0;
        rows_free(r);
    }
    return ret;
}

typedef unsigned char digest[crypto_auth_hmacsha256_BYTES];

static void hmac(digest out, const void *key, size_t key_len, const void *data, size_t len)
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, data, len);
    crypto_auth_hmacsha256_final(&state, out);
}

static void add_base64(text *out, const unsigned char *bytes, size_t len)
{
    char words[sodium_base64_ENCODED_LEN(crypto_auth_hmacsha256_BYTES, sodium_base64_VARIANT_ORIGINAL)];
    sodium_bin2base64(words, sizeof words, bytes, len, sodium_base64_VARIANT_ORIGINAL);
    text_add(out, words);
}

/* What PostgreSQL keeps of a password, by one round of SCRAM instead of 4,096: those make guesses slow, and
 * nobody guesses 256 random bits; but every session that the host opens would pay for them. */
static void random_password_verifier(const char *password, text *out)
{
    enum { SALT = 16 };
    unsigned char salted_by[SALT + 4] = {[SALT + 3] = 1};
    digest salted, client_key, stored_key, server_key;
    random_bytes(salted_by, SALT);
    hmac(salted, password, strlen(password), salted_by, sizeof salted_by);
    hmac(client_key, salted, sizeof salted, "Client Key", 10);
    hmac(server_key, salted, sizeof salted, "Server Key", 10);
    crypto_hash_sha256(stored_key, client_key, sizeof client_key);
    text_add(out, "SCRAM-SHA-256$1:");
    add_base64(out, salted_by, SALT);
    text_add_char(out, '$');
    add_base64(out, stored_key, sizeof stored_key);
    text_add_char(out, ':');
    add_base64(out, server_key, sizeof server_key);
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client_key, sizeof client_key);
}

/* CREATE or ALTER ROLE … PASSWORD 'SCRAM-SHA-256$…' */
static status_class put_role(connection *c, const char *role, const char *rights, const char *password,
                             bool made_by_us, status *st)
{
    text sql = {0}, verifier = {0};
    bool there = false;
    status_class ret = exists(c, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", role, &there, st);
    if (made_by_us)
        random_password_verifier(password, &verifier);
    else if (ret == STATUS_OK)
        ret = connection_scram(c, role, password, &verifier, st);
    if (ret == STATUS_OK) {
        text_add(&sql, there ? "ALTER ROLE " : "CREATE ROLE ");
        sql_identifier(&sql, role);
        /* only a superuser may say NOSUPERUSER about a role that is there */
        text_printf(&sql, " %s PASSWORD ", there ? "LOGIN" : rights);
        sql_literal(&sql, verifier.data);
        ret = connection_script(c, "put a role", sql.data, st);
    }
    text_free(&sql);
    text_free(&verifier);
    return ret;
}

status_class roles_service_create(connection *super, const char *login, const char *password, status *st)
{
    status_class ret =
        put_role(super, login, "LOGIN CREATEROLE NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS", password,
                 false, st);
    /* cancelling a metric of a workspace's login from outside */
    return ret == STATUS_OK ? run(super, "grant", "GRANT pg_signal_backend TO ", login, "", st) : ret;
}

status_class roles_database_create(connection *super, const char *database, const char *owner, status *st)
{
    bool there = false;
    text sql = {0};
    status_class ret =
        exists(super, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", database, &there, st);
    if (ret != STATUS_OK || there)
        return ret;
    text_add(&sql, "CREATE DATABASE ");
    sql_identifier(&sql, database);
    text_add(&sql, " TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8' OWNER ");
    sql_identifier(&sql, owner);
    ret = connection_exec(super, sql.data, NULL, 0, NULL, st);
    text_free(&sql);
    return ret;
}

status_class roles_database_close(connection *super, const char *database, const char *owner, status *st)
{
    value who = value_text(owner);
    status_class ret =
        run(super, "close a database", "REVOKE ALL ON DATABASE ", database, " FROM PUBLIC", st);
    if (ret == STATUS_OK)
        ret = connection_script(super, "close schema public", "REVOKE ALL ON SCHEMA public FROM PUBLIC", st);
    if (ret == STATUS_OK)
        ret = connection_exec(super, "SELECT set_config('penstock.owner', $1, false)", &who, 1, NULL, st);
    if (ret == STATUS_OK)
        ret = connection_script(super, "close functions", close_functions, st);
    if (ret == STATUS_OK)
        ret = connection_script(super, "close views", close_views, st);
    if (ret == STATUS_OK)
        ret = run(super, "close languages",
                  "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; REVOKE USAGE ON LANGUAGE sql FROM PUBLIC; "
                  "GRANT USAGE ON LANGUAGE plpgsql, sql TO ",
                  owner, "", st);
    text sql = {0};
    text_add(&sql, "ALTER DATABASE ");
    sql_identifier(&sql, database);
    text_add(&sql, " SET temp_file_limit = '1GB'; ALTER ROLE ");
    sql_identifier(&sql, owner);
    text_add(&sql, " IN DATABASE ");
    sql_identifier(&sql, database);
    text_add(&sql, " SET temp_file_limit = -1");
    if (ret == STATUS_OK)
        ret = connection_script(super, "limit temporary files", sql.data, st);
    text_free(&sql);
    return ret;
}

void role_name(char out[ROLE_NAME_SIZE], const char *stack8, int32_t wid)
{
    snprintf(out, ROLE_NAME_SIZE, "penstock_%.8s_wid%d", stack8, wid);
}

void role_password(char out[ROLE_PASSWORD_SIZE])
{
    unsigned char bytes[32];
    random_bytes(bytes, sizeof bytes);
    sodium_bin2base64(out, ROLE_PASSWORD_SIZE, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
}

/* What every session of a workspace begins with. The login may change these for itself; the host's own
 * watchdog and the statement's READ ONLY transaction do not depend on them. */
static const char role_settings[] = "ALTER ROLE %1$s SET jit = off; ALTER ROLE %1$s SET work_mem = '16MB'; "
                                    "ALTER ROLE %1$s SET idle_in_transaction_session_timeout = '60s'; ALTER "
                                    "ROLE %1$s SET search_path = pg_catalog, pg_temp";

/* Rights on schemas and on the database stand in one row of the catalog each, which two sessions must not
 * change at once ("tuple concurrently updated"). */
static const char one_at_a_time[] = "SELECT pg_catalog.pg_advisory_xact_lock(7809642311); ";

status_class role_create(connection *c, const char *role, const char *password, status *st)
{
    text sql = {0}, quoted = {0}, database = {0};
    rows *r = NULL;
    status_class ret = put_role(
        c, role,
        "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20",
        password, true, st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "SELECT current_database()", NULL, 0, &r, st);
    if (ret == STATUS_OK) {
        sql_identifier(&quoted, role);
        sql_identifier(&database, rows_text(r, 0, 0));
        text_add(&sql, one_at_a_time);
        text_printf(&sql,
                    "GRANT CONNECT ON DATABASE %s TO %s; GRANT USAGE ON SCHEMA datastore, featurestore, "
                    "inferencestore, penstock TO %s",
                    database.data, quoted.data, quoted.data);
        text_add(&sql, "; ");
        text_printf(&sql, role_settings, quoted.data);
        ret = connection_script(c, "grant a role", sql.data, st);
    }
    rows_free(r);
    text_free(&sql);
    text_free(&quoted);
    text_free(&database);
    return ret;
}

status_class role_drop(connection *c, const char *role, status *st)
{
    bool there = false;
    text sql = {0}, quoted = {0};
    rows *r = NULL;
    status_class ret = exists(c, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1", role, &there, st);
    if (ret != STATUS_OK || !there)
        return ret;
    ret = connection_exec(c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1",
                          &(value){.kind = VALUE_TEXT, .len = strlen(role), .data = role}, 1, NULL, st);
    if (ret == STATUS_OK)
        ret = connection_exec(c, "SELECT current_database()", NULL, 0, &r, st);
    if (ret == STATUS_OK) {
        sql_identifier(&quoted, role);
        text_add(&sql, one_at_a_time);
        text_add(
            &sql,
            "REVOKE ALL ON ALL TABLES IN SCHEMA datastore, featurestore, inferencestore, penstock FROM ");
        text_printf(&sql,
                    "%s; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA penstock FROM %s; "
                    "REVOKE ALL ON SCHEMA datastore, featurestore, inferencestore, penstock FROM %s; REVOKE "
                    "ALL ON DATABASE ",
                    quoted.data, quoted.data, quoted.data);
        sql_identifier(&sql, rows_text(r, 0, 0));
        text_printf(&sql, " FROM %s; DROP ROLE %s", quoted.data, quoted.data);
        ret = connection_script(c, "drop a role", sql.data, st);
    }
    rows_free(r);
    text_free(&sql);
    text_free(&quoted);
    return ret;
}
