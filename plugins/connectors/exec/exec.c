/* The connector: a program runs, and each record that it writes to its standard output is handed over
 * undecoded.
 *
 *   resting ──due──▶ running ──records──▶ … ──it ends──▶ what is left is handed over, then: every_s > 0 and
 * code 0: rests until it is due again; else it failed: back-off
 *
 * The program runs beside us, not in us: the host starts it and ends it. What it writes before we are there
 * to read it stands in a pipe; when the pipe is full the program waits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complaints.h"
#include "cutter.h"
#include "penstock/define.h"

enum {
    BATCH_BYTES = 2 << 20,
    WAIT_MS = 200, /* for the first record of a batch */
    BACK_OFF_FIRST_MS = 1000,
    BACK_OFF_LAST_MS = 60000,
    SETTLED_US = 60000000, /* after so long a run the back-off begins anew */
    LINGER_US = 2000000,   /* so long it may run on without an output */
    SOON_MS = 20,
    LOOK_US = 1000000,
    CHECK_US = 2000000, /* so long a program is watched that is tried */
    HOW_MAX = 80,
};

enum { METRIC_LINES, METRIC_STARTS };
static const pst_metric metrics[] = {
    {"error_lines", "", "lines that the program wrote to its standard error", PST_COUNTER, 0},
    {"starts", "", "how often the program was started", PST_COUNTER, 0}};

typedef struct exec {
    const pst_host *host;
    const pst_program_service *program;
    int out;                           /* its standard output; -1 = closed */
    bool csv, header, running, at_end; /* at_end: of its output */
    bool gone; /* it has ended with `code`, and what it started holds its output open */
    int32_t code;
    int64_t asked_us; /* when it was looked for last */
    int64_t every_us, due_us, began_us, quiet_us;
    int64_t heard_us;  /* the last record */
    int64_t silent_us; /* since when it has no output; 0 = it has one */
    uint32_t back_off_ms;
    cutter cut;
    complaints errors;
} exec;

static void on_destroy(void *self)
{
    exec *e = self;
    if (!e)
        return;
    if (e->out >= 0)
        close(e->out);
    complaints_close(&e->errors);
    cutter_close(&e->cut);
    free(e);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    exec *e = calloc(1, sizeof *e);
    const char *program = host->config_text(host, "/program"), *records = host->config_text(host, "/records");
    if (!e)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    e->host = host;
    e->out = e->errors.fd = -1;
    e->program = host->get_service(host, PST_SERVICE_PROGRAM);
    e->every_us = host->config_int(host, "/every_s") * 1000000;
    e->quiet_us = host->config_int(host, "/quiet_s") * 1000000;
    e->csv = records && !strcmp(records, "csv");
    e->header = host->config_flag(host, "/header");
    pst_status st = PST_OK;
    if (!e->program)
        st = pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host runs no programs");
    else if (!program || *program != '/')
        st = pst_fail(error, PST_E_CONFIG, "/program", "the whole path of a program is expected");
    else if (!cutter_open(&e->cut, (size_t)host->config_int(host, "/max_record_bytes")))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (st)
        on_destroy(e);
    else
        *self = e;
    return st;
}

/* ---- The program ---- */

static void forget(exec *e)
{
    if (e->out >= 0)
        close(e->out);
    e->out = -1;
    complaints_close(&e->errors);
    e->running = false;
}

static pst_status start(exec *e, const pst_call *call, pst_error *error)
{
    int out, errors;
    pst_status st = e->program->start(e->host, call, &out, &errors, error);
    if (st) {
        snprintf(error->where, sizeof error->where, "/program");
        return st;
    }
    e->out = out;
    fcntl(out, F_SETFL, O_NONBLOCK);
    complaints_begin(&e->errors, e->host, errors);
    cutter_begin(&e->cut, e->csv ? CUTTER_CSV : CUTTER_LINES, e->header, NULL);
    e->running = true;
    e->at_end = e->gone = false;
    e->silent_us = 0;
    e->asked_us = e->heard_us = e->host->now_us(e->host);
    e->began_us = e->host->wall_us(e->host);
    e->host->observe(e->host, METRIC_STARTS, 1);
    return PST_OK;
}

/* It did not end as it should: how, and what it said last. */
static pst_status failed(exec *e, const pst_call *call, const char *how, pst_error *error)
{
    complaints_take(&e->errors, call, METRIC_LINES);
    return pst_fail(error, PST_E_UNAVAILABLE, "/program", "%.200s %s%s%.200s",
                    e->host->config_text(e->host, "/program"), how, *e->errors.last ? "; it said: " : "",
                    e->errors.last);
}

/* Sooner or later again. */
static pst_status again(exec *e, const pst_call *call, const char *how, pst_error *error)
{
    int64_t ran_us = e->host->wall_us(e->host) - e->began_us;
    e->back_off_ms = !e->back_off_ms || ran_us > SETTLED_US ? BACK_OFF_FIRST_MS : e->back_off_ms * 2;
    e->back_off_ms = e->back_off_ms < BACK_OFF_LAST_MS ? e->back_off_ms : BACK_OFF_LAST_MS;
    pst_status st = failed(e, call, how, error);
    error->retry_after_ms = e->back_off_ms;
    forget(e);
    return st;
}

/* What ended well and is due at times waits for its time, everything else has failed. */
static pst_status after_run(exec *e, const pst_call *call, int32_t code, pst_error *error)
{
    char how[HOW_MAX];
    if (e->every_us && !code) {
        forget(e);
        e->due_us = e->began_us + e->every_us;
        e->back_off_ms = 0;
        return PST_IDLE;
    }
    snprintf(how, sizeof how, code < 0 ? "was killed by signal %d" : "ended with exit code %d",
             code < 0 ? -code : code);
    return again(e, call, how, error);
}

/* It wrote its last: how did it end? A process is gone a moment after its output. */
static pst_status ended(exec *e, const pst_call *call, pst_batch *out, pst_error *error)
{
    int32_t code = e->code;
    pst_status st = e->gone ? PST_OK : e->program->ended(e->host, call, &code, error);
    int64_t now_us = e->host->now_us(e->host);
    e->silent_us = e->silent_us ? e->silent_us : now_us;
    if (st < 0)
        return st;
    if (st == PST_IDLE && now_us - e->silent_us < LINGER_US) {
        out->next_in_ms = SOON_MS;
        return PST_IDLE;
    }
    if (st != PST_IDLE)
        return after_run(e, call, code, error);
    e->program->stop(e->host, call);
    return again(e, call, "closed its output and was ended", error);
}

/* A program that is killed may leave children that hold its output open: they end with it. One that hangs is
 * ended. */
static pst_status look_for(exec *e, const pst_call *call, pst_error *error)
{
    char how[HOW_MAX];
    int64_t now_us = e->host->now_us(e->host);
    if (e->quiet_us && now_us - e->heard_us > e->quiet_us) {
        snprintf(how, sizeof how, "wrote nothing for %d s and was ended", (int)(e->quiet_us / 1000000));
        e->program->stop(e->host, call);
        return again(e, call, how, error);
    }
    if (e->gone || now_us - e->asked_us < LOOK_US)
        return PST_OK;
    e->asked_us = now_us;
    pst_status st = e->program->ended(e->host, call, &e->code, error);
    e->gone = st == PST_OK;
    if (e->gone)
        e->program->stop(e->host, call);
    return st < 0 ? st : PST_OK;
}

/* ---- What it writes ---- */

/* What is there now; false: nothing more, for now or (at_end) for ever. */
static bool fill(exec *e)
{
    size_t room = 0;
    char *to = cutter_room(&e->cut, &room);
    ssize_t n = to ? read(e->out, to, room) : 0; /* without memory the program has to wait */
    if (!to)
        return false;
    e->at_end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    cutter_came(&e->cut, n > 0 ? (size_t)n : 0);
    return n > 0;
}

static void take_records(exec *e, uint32_t max_rows)
{
    while (cutter_taken(&e->cut) < max_rows && pst_builder_bytes(e->cut.builder) < BATCH_BYTES)
        if (!cutter_cut(&e->cut, e->at_end) && (e->at_end || (!fill(e) && !e->at_end)))
            break;
}

/* For something on either pipe, or the cancel. */
static void wait_for(const exec *e, const pst_call *call)
{
    struct pollfd p[3] = {
        {e->out, POLLIN, 0}, {e->errors.at_end ? -1 : e->errors.fd, POLLIN, 0}, {call->cancel_fd, POLLIN, 0}};
    poll(p, 3, WAIT_MS);
}

static bool has_news(const exec *e)
{
    return pst_builder_bytes(e->cut.builder) > 0;
}

/* Takes what there is, waiting for it a moment. */
static void listen(exec *e, const pst_call *call, uint32_t max_rows)
{
    cutter_clear(&e->cut);
    take_records(e, max_rows);
    if (!has_news(e) && !e->at_end) {
        wait_for(e, call);
        take_records(e, max_rows);
    }
    complaints_take(&e->errors, call, METRIC_LINES);
    if (has_news(e))
        e->heard_us = e->host->now_us(e->host);
}

static pst_status rest(const exec *e, pst_batch *out)
{
    int64_t left = e->due_us - e->host->wall_us(e->host);
    left = left < e->every_us ? left : e->every_us; /* the clock was set back */
    out->next_in_ms = left > 1000 ? (uint32_t)(left / 1000) : 1;
    return PST_IDLE;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    exec *e = self;
    if (!e->running && e->every_us && e->host->wall_us(e->host) < e->due_us)
        return rest(e, out);
    pst_status st = e->running ? PST_OK : start(e, call, error);
    if (st)
        return st;
    listen(e, call, max_rows);
    if (has_news(e))
        return cutter_finish(&e->cut, NULL, (pst_bytes){0}, out, error);
    out->next_in_ms = 1;
    st = e->at_end ? ended(e, call, out, error) : look_for(e, call, error);
    if (st < 0)
        return st;
    return e->running ? PST_IDLE : rest(e, out);
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    exec *e = self;
    (void)call;
    (void)resume;
    (void)error;
    forget(e);
    e->due_us = 0;
    return PST_OK;
}

/* The host ends the program with its source. */
static void on_close(void *self)
{
    forget(self);
}

/* Runs it until it has written a record, ended, or run for a while without either: any of these will do, but
 * not an end with a failure, nor any end of one that should run for ever. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    exec *e = self;
    int32_t code = 0;
    forget(e);
    pst_status st = start(e, call, error), over = PST_IDLE;
    int64_t until_us = e->host->now_us(e->host) + CHECK_US;
    while (!st && over == PST_IDLE && !has_news(e) && e->host->now_us(e->host) < until_us &&
           !e->host->cancelled(e->host, call)) {
        listen(e, call, 1);
        over = e->program->ended(e->host, call, &code, error);
    }
    if (!st && over < 0)
        st = over;
    if (!st && over == PST_OK) {
        listen(e, call, 1);
        st = after_run(e, call, code, error);
    }
    e->program->stop(e->host, call);
    forget(e);
    cutter_clear(&e->cut);
    return st < 0 ? st : PST_OK;
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, 0, on_open, on_read, NULL, on_close, NULL};
    static const pst_check check = {sizeof check, 0, on_check};
    return !strcmp(id, PST_IF_SOURCE) ? (const void *)&source : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.exec", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Programs", .licence = "Apache-2.0", .metrics = metrics,
           .n_metrics = sizeof metrics / sizeof *metrics, .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
