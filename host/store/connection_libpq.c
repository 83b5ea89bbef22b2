/* The libpq driver: statements, pipelines and COPY over a libpq_session. */
#include <pthread.h>
#include <string.h>

#include "store/connection.h"
#include "store/libpq_parameters.h"
#include "store/libpq_session.h"
#include "store/rows_result.h"

#define COPY_CHUNK 65536

/* ---- statements ---- */

static status_class send_request(libpq_session *s, const driver_request *r, connection_failure *failure,
                                 status *st)
{
    libpq_parameters p;
    int sent = 0, n = (int)r->n_params;
    status_class ret = libpq_parameters_make(s->scratch, r, &p, failure, st);
    if (ret != STATUS_OK)
        return ret;
    switch (r->action) {
    case DRIVER_ONCE:
        sent = PQsendQueryParams(s->conn, r->sql, n, p.types, p.values, p.lengths, p.formats, 0);
        break;
    case DRIVER_SCRIPT:
        sent = PQsendQuery(s->conn, r->sql);
        break;
    case DRIVER_PREPARE:
        sent = PQsendPrepare(s->conn, r->prepared, r->sql, n, p.types);
        break;
    case DRIVER_RUN:
        sent = PQsendQueryPrepared(s->conn, r->prepared, n, p.values, p.lengths, p.formats, 0);
        break;
    }
    return sent ? STATUS_OK : libpq_session_lost(s, r->name, failure, st);
}

static bool is_error(const PGresult *r)
{
    ExecStatusType t = PQresultStatus(r);
    return t == PGRES_FATAL_ERROR || t == PGRES_BAD_RESPONSE || t == PGRES_PIPELINE_ABORTED;
}

/* All results of one statement: the first error, or the last result. */
static status_class collect(libpq_session *s, const driver_request *r, int64_t deadline, rows **out,
                            connection_failure *failure, status *st)
{
    PGresult *kept = NULL, *result;
    status_class ret;
    while ((ret = libpq_session_next(s, deadline, r->name, &result, failure, st)) == STATUS_OK && result) {
        if (kept && is_error(kept)) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
        if (PQresultStatus(result) == PGRES_COPY_IN)
            PQputCopyEnd(s->conn, "COPY needs the copy functions");
    }
    if (ret == STATUS_OK && !kept)
        ret = libpq_session_lost(s, r->name, failure, st);
    if (ret == STATUS_OK && is_error(kept))
        ret = libpq_session_fail(s, kept, r->name, failure, st);
    if (ret == STATUS_OK)
        *out = rows_from_result(kept);
    else
        PQclear(kept);
    return ret;
}

static status_class exec_one(libpq_session *s, const driver_request *r, int64_t deadline, rows **out,
                             connection_failure *failure, status *st)
{
    status_class ret = send_request(s, r, failure, st);
    if (ret == STATUS_OK)
        ret = libpq_session_flush(s, deadline, r->name, failure, st);
    if (ret == STATUS_OK)
        ret = collect(s, r, deadline, out, failure, st);
    if (ret == STATUS_OK || s->broken)
        return ret;
    if (PQstatus(s->conn) == CONNECTION_BAD)
        s->broken = true;
    return ret;
}

/* In one piece where it is short (libpq sends by itself what grows long): each piece wakes the server. */
static status_class send_all(libpq_session *s, const driver_request *requests, unsigned n, unsigned *failed,
                             int64_t deadline, connection_failure *failure, status *st)
{
    for (unsigned i = 0; i < n; i++) {
        status_class ret = send_request(s, &requests[i], failure, st);
        *failed = i;
        if (ret != STATUS_OK)
            return ret;
    }
    if (!PQpipelineSync(s->conn))
        return libpq_session_lost(s, "pipeline", failure, st);
    return libpq_session_flush(s, deadline, "pipeline", failure, st);
}

/* Reads every answer up to the sync, keeping the first failure (the ones after it are only "aborted"). */
static status_class collect_all(libpq_session *s, const driver_request *requests, unsigned n, rows **results,
                                unsigned *failed, int64_t deadline, connection_failure *failure, status *st)
{
    status_class first = STATUS_OK;
    for (unsigned i = 0; i < n && !s->broken; i++) {
        status later;
        connection_failure later_failure;
        bool ok = first == STATUS_OK;
        status_class ret =
            collect(s, &requests[i], deadline, &results[i], ok ? failure : &later_failure, ok ? st : &later);
        if (ok && ret != STATUS_OK) {
            first = ret;
            *failed = i;
        }
    }
    if (!s->broken) {
        PGresult *sync = NULL;
        status later;
        connection_failure later_failure;
        libpq_session_next(s, deadline, "pipeline", &sync, &later_failure, &later);
        if (!sync || PQresultStatus(sync) != PGRES_PIPELINE_SYNC)
            s->broken = true;
        PQclear(sync);
    }
    return first;
}

static status_class exec_pipeline(libpq_session *s, const driver_request *requests, unsigned n,
                                  rows **results, unsigned *failed, int64_t deadline,
                                  connection_failure *failure, status *st)
{
    if (!PQenterPipelineMode(s->conn))
        return libpq_session_lost(s, "pipeline", failure, st);
    status_class ret = send_all(s, requests, n, failed, deadline, failure, st);
    if (ret != STATUS_OK) {
        s->broken = true; /* half a pipeline is on its way: the session cannot be used again */
        return ret;
    }
    ret = collect_all(s, requests, n, results, failed, deadline, failure, st);
    if (s->broken && ret == STATUS_OK)
        ret = libpq_session_lost(s, "pipeline", failure, st);
    if (!s->broken && !PQexitPipelineMode(s->conn))
        s->broken = true;
    return ret;
}

static status_class libpq_exec(void *handle, const driver_request *requests, unsigned n, rows **results,
                               unsigned *failed, int64_t wait_ms, connection_failure *failure, status *st)
{
    libpq_session *s = handle;
    int64_t deadline = libpq_deadline(wait_ms);
    arena_reset(s->scratch);
    if (n == 1)
        return exec_one(s, requests, deadline, results, failure, st);
    return exec_pipeline(s, requests, n, results, failed, deadline, failure, st);
}

/* ---- COPY ---- */

static status_class libpq_copy_begin(void *handle, const char *sql, int64_t wait_ms,
                                     connection_failure *failure, status *st)
{
    libpq_session *s = handle;
    int64_t deadline = libpq_deadline(wait_ms);
    PGresult *result = NULL, *end;
    if (!PQsendQuery(s->conn, sql))
        return libpq_session_lost(s, "copy", failure, st);
    status_class ret = libpq_session_flush(s, deadline, "copy", failure, st);
    if (ret == STATUS_OK)
        ret = libpq_session_next(s, deadline, "copy", &result, failure, st);
    if (ret == STATUS_OK && PQresultStatus(result) == PGRES_COPY_IN)
        goto done;
    if (ret == STATUS_OK)
        ret = libpq_session_fail(s, result, "copy", failure, st);
    while (!s->broken && libpq_session_next(s, deadline, "copy", &end, failure, &(status){0}) == STATUS_OK &&
           end)
        PQclear(end);
done:
    PQclear(result);
    return ret;
}

static status_class libpq_copy_data(void *handle, const void *data, size_t len, int64_t wait_ms,
                                    connection_failure *failure, status *st)
{
    libpq_session *s = handle;
    const char *p = data;
    int64_t deadline = libpq_deadline(wait_ms);
    while (len > 0) {
        size_t n = len < COPY_CHUNK ? len : COPY_CHUNK;
        int put = PQputCopyData(s->conn, p, (int)n);
        if (put < 0)
            return libpq_session_lost(s, "copy", failure, st);
        if (put > 0) {
            p += n;
            len -= n;
        }
        status_class ret = libpq_session_flush(s, deadline, "copy", failure, st);
        if (ret != STATUS_OK)
            return ret;
    }
    return STATUS_OK;
}

static status_class libpq_copy_end(void *handle, const char *abort_reason, int64_t wait_ms, int64_t *rows_out,
                                   connection_failure *failure, status *st)
{
    libpq_session *s = handle;
    int64_t deadline = libpq_deadline(wait_ms);
    rows *result = NULL;
    status_class ret = STATUS_OK;
    if (PQputCopyEnd(s->conn, abort_reason) < 0)
        return libpq_session_lost(s, "copy", failure, st);
    ret = libpq_session_flush(s, deadline, "copy", failure, st);
    if (ret == STATUS_OK)
        ret = collect(s, &(driver_request){.name = "copy"}, deadline, &result, failure, st);
    if (ret == STATUS_OK && rows_out)
        *rows_out = rows_affected(result);
    rows_free(result);
    return ret;
}

/* ---- the rest ---- */

static void *cancel_thread(void *arg)
{
    char ignored[256];
    PQcancel(arg, ignored, sizeof ignored);
    PQfreeCancel(arg);
    return NULL;
}

/* PQcancel waits for the postmaster, which may be the very thing that is stuck: it gets a thread to wait on.
 */
static void libpq_cancel(void *handle)
{
    libpq_session *s = handle;
    PGcancel *cancel = PQgetCancel(s->conn);
    pthread_t thread;
    if (!cancel)
        return;
    if (pthread_create(&thread, NULL, cancel_thread, cancel) != 0)
        PQfreeCancel(cancel);
    else
        pthread_detach(thread);
}

static bool libpq_broken(void *handle)
{
    libpq_session *s = handle;
    return s->broken || PQstatus(s->conn) == CONNECTION_BAD;
}

static bool libpq_in_transaction(void *handle)
{
    libpq_session *s = handle;
    PGTransactionStatusType t = PQtransactionStatus(s->conn);
    return t == PQTRANS_INTRANS || t == PQTRANS_INERROR || t == PQTRANS_ACTIVE;
}

static status_class libpq_scram(void *handle, const char *user, const char *password, text *out, status *st)
{
    libpq_session *s = handle;
    char *verifier = PQencryptPasswordConn(s->conn, password, user, "scram-sha-256");
    if (!verifier)
        return status_set(st, STATUS_INTERNAL, "password verifier: %s", PQerrorMessage(s->conn));
    text_clear(out);
    text_add(out, verifier);
    PQfreemem(verifier);
    return STATUS_OK;
}

const connection_driver connection_libpq = {
    .open = libpq_session_open,
    .exec = libpq_exec,
    .copy_begin = libpq_copy_begin,
    .copy_data = libpq_copy_data,
    .copy_end = libpq_copy_end,
    .cancel = libpq_cancel,
    .broken = libpq_broken,
    .in_transaction = libpq_in_transaction,
    .scram = libpq_scram,
    .close = libpq_session_close,
};
