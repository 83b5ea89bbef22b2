/* What every driver has in common: the cache of prepared statements, time limits, transactions, and the
 * memory of why the last call failed. The driver only moves bytes. */
#include "store/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/name.h"

#define CONNECTION_MAGIC 0x636f6e6eu
#define PIPELINE_MAX 256
/* Of so many statements that find the cache full, one gets the place of the one used longest ago; the others
 * are parsed for their call. When more statements than there are places come in turns, replacing each time
 * would never hit. */
#define MISSES_A_PLACE 16

typedef struct prepared {
    uint64_t hash, used;
    char *sql; /* NULL = free slot */
    char name[16];
} prepared;

struct connection {
    uint32_t magic;
    const connection_driver *driver;
    void *handle;
    int64_t timeout_ms;        /* what the client waits for */
    int64_t server_timeout_ms; /* what the session is known to be set to; -1 = not known */
    connection_failure failure;
    uint64_t uses;
    unsigned names, n_prepared, misses;
    prepared prepared[CONNECTION_PREPARED_MAX];
};

static const connection_driver *driver_in_use = &connection_libpq;

void connection_use(const connection_driver *driver)
{
    driver_in_use = driver ? driver : &connection_libpq;
}

value value_text(const char *s)
{
    return s ? value_text_n(s, strlen(s)) : value_null();
}

status_class connection_open(const connection_options *options, connection **out, status *st)
{
    connection *c = memory_zero(1, sizeof *c);
    connection_options o = *options;
    c->magic = CONNECTION_MAGIC;
    c->driver = driver_in_use;
    if (o.timeout_ms <= 0)
        o.timeout_ms = CONNECTION_TIMEOUT_MS;
    if (o.connect_timeout_ms <= 0)
        o.connect_timeout_ms = CONNECTION_CONNECT_TIMEOUT_MS;
    c->timeout_ms = c->server_timeout_ms = o.timeout_ms;
    status_class ret = c->driver->open(&o, &c->handle, &c->failure, st);
    if (ret != STATUS_OK) {
        free(c);
        c = NULL;
    }
    *out = c;
    return ret;
}

static void forget_prepared(prepared *p)
{
    free(p->sql);
    *p = (prepared){0};
}

void connection_close(connection *c)
{
    if (!c)
        return;
    assert(c->magic == CONNECTION_MAGIC);
    c->driver->close(c->handle);
    for (unsigned i = 0; i < CONNECTION_PREPARED_MAX; i++)
        forget_prepared(&c->prepared[i]);
    c->magic = 0;
    free(c);
}

static int64_t wait_ms(const connection *c)
{
    return c->timeout_ms + CONNECTION_GRACE_MS;
}

/* One trip to the driver. On failure no result is left. */
static status_class call(connection *c, const driver_request *requests, unsigned n, rows **results,
                         unsigned *failed, status *st)
{
    assert(c->magic == CONNECTION_MAGIC);
    c->failure = (connection_failure){0};
    *failed = 0;
    if (c->driver->broken(c->handle))
        return status_set(st, STATUS_UNAVAILABLE, "%s: the connection is broken", requests[0].name);
    status_class ret = c->driver->exec(c->handle, requests, n, results, failed, wait_ms(c), &c->failure, st);
    for (unsigned i = 0; ret != STATUS_OK && i < n; i++) {
        rows_free(results[i]);
        results[i] = NULL;
    }
    return ret;
}

static status_class call_one(connection *c, const driver_request *request, rows **out, status *st)
{
    rows *result = NULL;
    unsigned failed;
    status_class ret = call(c, request, 1, &result, &failed, st);
    if (out)
        *out = result;
    else
        rows_free(result);
    return ret;
}

status_class connection_exec(connection *c, const char *sql, const value *params, unsigned n, rows **out,
                             status *st)
{
    char name[40];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(sql, "\n(") > 36 ? 36 : (int)strcspn(sql, "\n("), sql);
    return call_one(
        c,
        &(driver_request){.action = DRIVER_ONCE, .name = name, .sql = sql, .params = params, .n_params = n},
        out, st);
}

status_class connection_script(connection *c, const char *name, const char *sql, status *st)
{
    return call_one(c, &(driver_request){.action = DRIVER_SCRIPT, .name = name, .sql = sql}, NULL, st);
}

static prepared *find_prepared(connection *c, const char *sql, uint64_t hash)
{
    for (unsigned i = 0; i < c->n_prepared; i++)
        if (c->prepared[i].hash == hash && c->prepared[i].sql && strcmp(c->prepared[i].sql, sql) == 0)
            return &c->prepared[i];
    return NULL;
}

/* A free slot, or the one used longest ago, taken from the server too. */
static status_class free_slot(connection *c, prepared **out, status *st)
{
    prepared *oldest = &c->prepared[0];
    for (unsigned i = 0; i < CONNECTION_PREPARED_MAX; i++) {
        if (!c->prepared[i].sql) {
            if (i >= c->n_prepared)
                c->n_prepared = i + 1;
            *out = &c->prepared[i];
            return STATUS_OK;
        }
        if (c->prepared[i].used < oldest->used)
            oldest = &c->prepared[i];
    }
    char sql[40];
    snprintf(sql, sizeof sql, "DEALLOCATE %s", oldest->name);
    status_class ret = connection_exec(c, sql, NULL, 0, NULL, st);
    if (ret == STATUS_OK) {
        forget_prepared(oldest);
        *out = oldest;
    }
    return ret;
}

/* A statement is prepared for the types of its values, so that `$1::int` takes an int64 and the server need
 * not guess; another mix of types (a null, say) is another plan. */
static uint64_t hash_of(const statement *s, const value *params, unsigned n)
{
    uint64_t hash = name_hash(s->sql, strlen(s->sql));
    for (unsigned i = 0; i < n; i++) {
        uint64_t mixed[2] = {hash, (uint64_t)params[i].kind << 32 | params[i].oid};
        hash = name_hash(mixed, sizeof mixed);
    }
    return hash;
}

static status_class prepare_new(connection *c, const statement *s, const value *params, unsigned n,
                                prepared **out, status *st)
{
    char name[16];
    prepared *p;
    status_class ret = free_slot(c, &p, st);
    if (ret != STATUS_OK)
        return ret;
    snprintf(name, sizeof name, "p%u", ++c->names); /* never used twice, so a lost answer cannot collide */
    ret = call_one(c,
                   &(driver_request){.action = DRIVER_PREPARE,
                                     .name = s->name,
                                     .sql = s->sql,
                                     .prepared = name,
                                     .params = params,
                                     .n_params = n},
                   NULL, st);
    if (ret != STATUS_OK)
        return ret;
    p->hash = hash_of(s, params, n);
    p->sql = memory_string(s->sql);
    memcpy(p->name, name, sizeof name);
    *out = p;
    return STATUS_OK;
}

static bool gets_place(connection *c)
{
    for (unsigned i = 0; i < CONNECTION_PREPARED_MAX; i++)
        if (!c->prepared[i].sql)
            return true;
    return ++c->misses % MISSES_A_PLACE == 0;
}

/* NULL with OK: it is parsed for this call. */
static status_class prepare(connection *c, const statement *s, const value *params, unsigned n,
                            prepared **out, status *st)
{
    prepared *p = find_prepared(c, s->sql, hash_of(s, params, n));
    status_class ret = STATUS_OK;
    if (!p && gets_place(c))
        ret = prepare_new(c, s, params, n, &p, st);
    if (p)
        p->used = ++c->uses;
    *out = p;
    return ret;
}

static driver_request request_of(const statement *s, const prepared *p, const value *params, unsigned n)
{
    return (driver_request){.action = p ? DRIVER_RUN : DRIVER_ONCE,
                            .name = s->name,
                            .sql = s->sql,
                            .prepared = p ? p->name : NULL,
                            .params = params,
                            .n_params = n};
}

/* The server threw the plan away or cannot use it any more (a table changed under it): prepare again. */
static bool plan_is_stale(const connection *c)
{
    return strcmp(c->failure.sqlstate, "26000") == 0 || strcmp(c->failure.sqlstate, "0A000") == 0;
}

status_class connection_run(connection *c, const statement *s, const value *params, unsigned n, rows **out,
                            status *st)
{
    if (out)
        *out = NULL;
    for (int attempt = 0;; attempt++) {
        prepared *p;
        status_class ret = prepare(c, s, params, n, &p, st);
        if (ret != STATUS_OK)
            return ret;
        driver_request request = request_of(s, p, params, n);
        ret = call_one(c, &request, out, st);
        if (ret == STATUS_OK || !p || !plan_is_stale(c))
            return ret;
        forget_prepared(p);
        if (attempt > 0 || connection_in_transaction(c))
            return ret;
    }
}

status_class connection_pipeline(connection *c, statement_call *calls, unsigned n, unsigned *failed_out,
                                 status *st)
{
    driver_request requests[PIPELINE_MAX];
    rows *results[PIPELINE_MAX] = {0};
    prepared *plans[PIPELINE_MAX];
    unsigned failed = 0;
    assert(n > 0 && n <= PIPELINE_MAX && n <= CONNECTION_PREPARED_MAX);
    for (unsigned i = 0; i < n; i++) {
        calls[i].result = NULL;
        status_class ret = prepare(c, calls[i].statement, calls[i].params, calls[i].n_params, &plans[i], st);
        if (failed_out)
            *failed_out = i;
        if (ret != STATUS_OK)
            return ret;
    }
    for (unsigned i = 0; i < n; i++)
        requests[i] = request_of(calls[i].statement, plans[i], calls[i].params, calls[i].n_params);
    status_class ret = call(c, requests, n, results, &failed, st);
    if (failed_out)
        *failed_out = failed;
    if (ret != STATUS_OK && plans[failed] && plan_is_stale(c))
        forget_prepared(plans[failed]);
    for (unsigned i = 0; i < n; i++)
        calls[i].result = results[i];
    return ret;
}

status_class connection_begin(connection *c, status *st)
{
    assert(!connection_in_transaction(c));
    return call_one(c,
                    &(driver_request){.action = DRIVER_SCRIPT,
                                      .name = "begin",
                                      .sql = "BEGIN ISOLATION LEVEL READ COMMITTED"},
                    NULL, st);
}

/* COMMIT of a failed transaction is answered by ROLLBACK without an error, so that is asked first. */
status_class connection_commit(connection *c, status *st)
{
    rows *r = NULL;
    status_class ret =
        call_one(c, &(driver_request){.action = DRIVER_SCRIPT, .name = "commit", .sql = "COMMIT"}, &r, st);
    if (ret != STATUS_OK && connection_broken(c))
        c->failure.commit_unknown = true;
    if (ret == STATUS_OK && rows_affected(r) < 0)
        ret = status_set(st, STATUS_CONFLICT,
                         "commit: a statement of this transaction had failed, all of it is undone");
    rows_free(r);
    return ret;
}

void connection_rollback(connection *c)
{
    status st;
    if (connection_broken(c) || !connection_in_transaction(c))
        return;
    connection_failure kept = c->failure;
    call_one(c, &(driver_request){.action = DRIVER_SCRIPT, .name = "rollback", .sql = "ROLLBACK"}, NULL, &st);
    c->server_timeout_ms = -1; /* a SET inside the transaction is undone with it */
    c->failure = kept;         /* the caller still wants to know why it rolled back */
}

status_class connection_copy_begin(connection *c, const char *sql, status *st)
{
    c->failure = (connection_failure){0};
    if (c->driver->broken(c->handle))
        return status_set(st, STATUS_UNAVAILABLE, "copy: the connection is broken");
    return c->driver->copy_begin(c->handle, sql, wait_ms(c), &c->failure, st);
}

status_class connection_copy_data(connection *c, const void *data, size_t len, status *st)
{
    return c->driver->copy_data(c->handle, data, len, wait_ms(c), &c->failure, st);
}

status_class connection_copy_end(connection *c, const char *abort_reason, int64_t *rows_out, status *st)
{
    return c->driver->copy_end(c->handle, abort_reason, wait_ms(c), rows_out, &c->failure, st);
}

status_class connection_set_timeout(connection *c, int64_t timeout_ms, status *st)
{
    char sql[64];
    assert(timeout_ms > 0);
    if (timeout_ms == c->server_timeout_ms)
        return STATUS_OK;
    snprintf(sql, sizeof sql, "SET statement_timeout = %lld", (long long)timeout_ms);
    status_class ret = connection_exec(c, sql, NULL, 0, NULL, st);
    if (ret == STATUS_OK)
        c->timeout_ms = c->server_timeout_ms = timeout_ms;
    return ret;
}

void connection_cancel(connection *c)
{
    c->driver->cancel(c->handle);
}

bool connection_broken(const connection *c)
{
    return c->driver->broken(c->handle);
}

bool connection_in_transaction(const connection *c)
{
    return c->driver->in_transaction(c->handle);
}

const connection_failure *connection_failure_of(const connection *c)
{
    return &c->failure;
}

bool connection_row_refused(const connection *c)
{
    const char *state = c->failure.sqlstate;
    return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 || strcmp(state, "54000") == 0;
}

int connection_server_version(const connection *c)
{
    return c->driver->server_version(c->handle);
}

status_class connection_scram(connection *c, const char *user, const char *password, text *out, status *st)
{
    if (!c->driver->scram)
        return status_set(st, STATUS_UNSUPPORTED, "password verifier: this driver makes none");
    return c->driver->scram(c->handle, user, password, out, st);
}
