/* What every driver has in common: the cache of prepared statements, time limits, transactions, and the
 * memory of why the last call failed. The driver only moves bytes. */
#include "store/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "store/prepared.h"

#define CONNECTION_MAGIC 0x636f6e6eu
#define PIPELINE_MAX 128

struct connection {
    uint32_t magic;
    const connection_driver *driver;
    void *handle;
    int64_t timeout_ms;        /* what the client waits for */
    int64_t server_timeout_ms; /* what the session is known to be set to; -1 = not known */
    connection_failure failure;
    prepared_set prepared;
    bool repeating; /* connection_repeat */
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
    c->prepared.max = CONNECTION_PREPARED_MAX;
    status_class ret = c->driver->open(&o, &c->handle, &c->failure, st);
    if (ret != STATUS_OK) {
        free(c);
        c = NULL;
    }
    *out = c;
    return ret;
}

void connection_close(connection *c)
{
    if (!c)
        return;
    assert(c->magic == CONNECTION_MAGIC);
    c->driver->close(c->handle);
    prepared_free(&c->prepared);
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

/* ---- prepared statements ---- */

enum { PREPARED_NAME = 16 };

/* How one call of a trip reaches the server. */
typedef struct plan {
    uint32_t number; /* of the prepared statement; 0 = parsed for this call */
    bool fresh;      /* prepared in this trip, ahead of its call */
    char name[PREPARED_NAME];
} plan;

static status_class deallocate(connection *c, uint32_t number, status *st)
{
    char sql[40];
    snprintf(sql, sizeof sql, "DEALLOCATE p%u", number);
    status_class ret = connection_exec(c, sql, NULL, 0, NULL, st);
    if (ret == STATUS_OK)
        prepared_forget(&c->prepared, number);
    return ret;
}

static status_class choose_plan(connection *c, const statement_call *of, plan *out, status *st)
{
    uint32_t evicted;
    status_class ret = STATUS_OK;
    prepared_key key = prepared_key_of(of->statement, of->params, of->n_params);
    *out = (plan){.number = prepared_find(&c->prepared, &key)};
    if (!out->number && prepared_has_place(&c->prepared, &evicted)) {
        if (evicted)
            ret = deallocate(c, evicted, st);
        if (ret != STATUS_OK)
            return ret;
        out->number = prepared_add(&c->prepared, &key);
        out->fresh = true;
    }
    snprintf(out->name, sizeof out->name, "p%u", out->number);
    return ret;
}

static driver_request request_of(const statement_call *of, const plan *p, bool prepare)
{
    return (driver_request){.action = prepare     ? DRIVER_PREPARE
                                      : p->number ? DRIVER_RUN
                                                  : DRIVER_ONCE,
                            .name = of->statement->name,
                            .sql = of->statement->sql,
                            .prepared = p->number ? p->name : NULL,
                            .params = of->params,
                            .n_params = of->n_params};
}

/* The server threw the plan away or cannot use it any more (a table changed under it): prepare again. */
static bool plan_is_stale(const connection *c)
{
    return strcmp(c->failure.sqlstate, "26000") == 0 || strcmp(c->failure.sqlstate, "0A000") == 0;
}

/* Requests of one trip and whose they are; room for two a call. */
typedef struct trip {
    driver_request *requests;
    rows **results;
    unsigned *calls; /* by request */
    unsigned n;
} trip;

static void add_request(trip *t, const statement_call *of, const plan *p, bool prepare, unsigned number)
{
    t->results[t->n] = NULL;
    t->calls[t->n] = number;
    t->requests[t->n++] = request_of(of, p, prepare);
}

/* What was not reached, or failed itself, is not prepared; a stale plan is given up. */
static void forget_failed(connection *c, const trip *t, unsigned failed, const plan *plans)
{
    for (unsigned i = failed; i < t->n; i++)
        if (t->requests[i].action == DRIVER_PREPARE)
            prepared_forget(&c->prepared, plans[t->calls[i]].number);
    if (t->requests[failed].action == DRIVER_RUN && plan_is_stale(c))
        prepared_forget(&c->prepared, plans[t->calls[failed]].number);
}

/* All calls in one trip, each new statement prepared just before its first call. */
static status_class travel(connection *c, statement_call *calls, unsigned n, plan *plans, trip *t,
                           unsigned *failed_out, status *st)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < n; i++) {
        calls[i].result = NULL;
        *failed_out = i;
        status_class ret = choose_plan(c, &calls[i], &plans[i], st);
        for (unsigned k = 0; ret != STATUS_OK && k < i; k++)
            if (plans[k].fresh)
                prepared_forget(&c->prepared, plans[k].number);
        if (ret != STATUS_OK)
            return ret;
        if (plans[i].fresh)
            add_request(t, &calls[i], &plans[i], true, i);
        add_request(t, &calls[i], &plans[i], false, i);
    }
    status_class ret = call(c, t->requests, t->n, t->results, &failed, st);
    *failed_out = t->calls[failed];
    if (ret != STATUS_OK)
        forget_failed(c, t, failed, plans);
    for (unsigned i = 0; i < t->n; i++) {
        if (t->requests[i].action == DRIVER_PREPARE)
            rows_free(t->results[i]);
        else
            calls[t->calls[i]].result = t->results[i];
    }
    return ret;
}

status_class connection_run(connection *c, const statement *s, const value *params, unsigned n, rows **out,
                            status *st)
{
    if (out)
        *out = NULL;
    for (int attempt = 0;; attempt++) {
        driver_request requests[2];
        rows *results[2];
        unsigned owners[2], failed;
        plan p;
        trip t = {requests, results, owners, 0};
        statement_call one = {s, params, n, NULL};
        status_class ret = travel(c, &one, 1, &p, &t, &failed, st);
        if (out)
            *out = one.result;
        else
            rows_free(one.result);
        if (ret == STATUS_OK || !p.number || !plan_is_stale(c))
            return ret;
        if (attempt > 0 || connection_in_transaction(c))
            return ret;
    }
}

status_class connection_pipeline(connection *c, statement_call *calls, unsigned n, unsigned *failed_out,
                                 status *st)
{
    driver_request requests[2 * PIPELINE_MAX];
    rows *results[2 * PIPELINE_MAX];
    unsigned owners[2 * PIPELINE_MAX], failed;
    plan plans[PIPELINE_MAX];
    trip t = {requests, results, owners, 0};
    assert(n > 0 && n <= PIPELINE_MAX && n <= CONNECTION_PREPARED_MAX);
    return travel(c, calls, n, plans, &t, failed_out ? failed_out : &failed, st);
}

status_class connection_repeat(connection *c, uint32_t statements_max, status *st)
{
    status_class ret = connection_script(c, "set up a session of a writer",
                                         "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;"
                                         " SET enable_hashjoin = off; SET enable_mergejoin = off",
                                         st);
    if (ret != STATUS_OK)
        return ret;
    c->repeating = true;
    c->prepared.max = statements_max;
    return STATUS_OK;
}

bool connection_repeats(const connection *c)
{
    return c->repeating;
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

status_class connection_scram(connection *c, const char *user, const char *password, text *out, status *st)
{
    if (!c->driver->scram)
        return status_set(st, STATUS_UNSUPPORTED, "password verifier: this driver makes none");
    return c->driver->scram(c->handle, user, password, out, st);
}
