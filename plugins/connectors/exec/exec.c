/* The connector: a program runs, and each record that it writes to its standard output is handed over
 * undecoded.
 *
 *   resting ──due──▶ running ──records──▶ … ──it ends──▶ what is left is handed over, then: every_s > 0 and
 * code 0: rests until it is due again; else it failed: back-off
 *
 * The program runs beside us, not in us: the host starts it and ends it. What it writes before we are there
 * to read it stands in a pipe; when the pipe is full the program waits. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"
#include "pipe.h"

enum {
    BATCH_BYTES = 2 << 20,
    WAIT_MS = 200,         /* for the first record of a batch */
    LINE_MAX_BYTES = 1000, /* of its standard error */
    LINES_A_READ = 10,
    BACK_OFF_FIRST_MS = 1000,
    BACK_OFF_LAST_MS = 60000,
    SETTLED_US = 60000000, /* after so long a run the back-off begins anew */
    LINGER_US = 2000000,   /* so long it may run on without an output */
    SOON_MS = 20,
    LOOK_US = 1000000,
};

enum { METRIC_LINES, METRIC_STARTS };
static const pst_metric metrics[] = {
    {"error_lines", "", "lines that the program wrote to its standard error", PST_COUNTER, 0},
    {"starts", "", "how often the program was started", PST_COUNTER, 0}};

typedef struct exec {
    const pst_host *host;
    const pst_program_service *program;
    pipe_reader out, errors;
    bool running, header,
        gone; /* gone: it has ended with `code`, and what it started holds its output open */
    int32_t code;
    int64_t asked_us; /* when it was looked for last */
    char *meta;       /* the CSV header of this run */
    int64_t every_us, due_us, began_us,
        silent_us;               /* silent_us: since when it has no output; 0 = it has one */
    uint32_t back_off_ms, lines; /* lines: of standard error, in this read */
    pst_builder *builder;
} exec;

static void on_destroy(void *self)
{
    exec *e = self;
    if (!e)
        return;
    pipe_reader_free(&e->out);
    pipe_reader_free(&e->errors);
    pst_builder_free(e->builder);
    free(e->meta);
    free(e);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    exec *e = calloc(1, sizeof *e);
    const char *program = host->config_text(host, "/program"), *records = host->config_text(host, "/records");
    bool csv = records && !strcmp(records, "csv");
    if (!e)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    e->host = host;
    e->out.fd = e->errors.fd = -1;
    e->program = host->get_service(host, PST_SERVICE_PROGRAM);
    e->every_us = host->config_int(host, "/every_s") * 1000000;
    e->header = csv && host->config_flag(host, "/header");
    e->builder = pst_builder_create();
    pst_status st = PST_OK;
    if (!e->program)
        st = pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host runs no programs");
    else if (!program || *program != '/')
        st = pst_fail(error, PST_E_CONFIG, "/program", "the whole path of a program is expected");
    else if (!e->builder ||
             !pipe_reader_make(&e->out, (size_t)host->config_int(host, "/max_record_bytes"), csv) ||
             !pipe_reader_make(&e->errors, LINE_MAX_BYTES, false))
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
    pipe_reader_close(&e->out);
    pipe_reader_close(&e->errors);
    free(e->meta);
    e->meta = NULL;
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
    pipe_reader_begin(&e->out, out);
    pipe_reader_begin(&e->errors, errors);
    e->running = true;
    e->silent_us = 0;
    e->gone = false;
    e->asked_us = e->host->now_us(e->host);
    e->began_us = e->host->wall_us(e->host);
    e->host->observe(e->host, METRIC_STARTS, 1);
    return PST_OK;
}

/* Sooner or later again: what ended well and is due at times waits for its time, everything else has failed.
 */
static pst_status after_run(exec *e, int32_t code, bool lingered, pst_error *error)
{
    int64_t ran_us = e->host->wall_us(e->host) - e->began_us;
    forget(e);
    if (e->every_us && !code && !lingered) {
        e->due_us = e->began_us + e->every_us;
        e->back_off_ms = 0;
        return PST_IDLE;
    }
    e->back_off_ms = !e->back_off_ms || ran_us > SETTLED_US ? BACK_OFF_FIRST_MS : e->back_off_ms * 2;
    e->back_off_ms = e->back_off_ms < BACK_OFF_LAST_MS ? e->back_off_ms : BACK_OFF_LAST_MS;
    pst_status st = pst_fail(error, PST_E_UNAVAILABLE, "/program", "%.200s %s %d",
                             e->host->config_text(e->host, "/program"),
                             lingered   ? "closed its output and was ended; code"
                             : code < 0 ? "was killed by signal"
                                        : "ended with exit code",
                             code < 0 ? -code : code);
    error->retry_after_ms = e->back_off_ms;
    return st;
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
    if (st == PST_IDLE)
        e->program->stop(e->host, call);
    return after_run(e, code, st == PST_IDLE, error);
}

/* A program that is killed may leave children that hold its output open: they end with it. */
static pst_status look_for(exec *e, const pst_call *call, pst_error *error)
{
    int64_t now_us = e->host->now_us(e->host);
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

/* Its standard error goes to the log, a few lines at a time; the rest is counted. */
static void take_errors(exec *e)
{
    const char *line;
    size_t len;
    do
        while (pipe_reader_cut(&e->errors, &line, &len)) {
            char text[LINE_MAX_BYTES + 1];
            snprintf(text, sizeof text, "%.*s", (int)len, line);
            e->host->observe(e->host, METRIC_LINES, 1);
            pst_field field = {"line", text};
            if (e->lines++ < LINES_A_READ)
                e->host->log(e->host, PST_LOG_WARN, "the program says", &field, 1);
        }
    while (pipe_reader_fill(&e->errors));
}

static void take_record(exec *e, const char *record, size_t len)
{
    if (!e->header || e->meta) {
        pst_builder_payload(e->builder, record, len, e->meta);
        return;
    }
    e->meta = malloc(len + 1);
    if (e->meta) {
        memcpy(e->meta, record, len);
        e->meta[len] = '\0';
    }
}

static void take_records(exec *e, uint32_t max_rows)
{
    const char *record;
    char why[80];
    size_t len;
    while (pst_builder_rows(e->builder) < max_rows && pst_builder_bytes(e->builder) < BATCH_BYTES) {
        if (pipe_reader_cut(&e->out, &record, &len))
            take_record(e, record, len);
        else if (!pipe_reader_fill(&e->out))
            break;
    }
    for (; e->out.too_long; e->out.too_long--) {
        snprintf(why, sizeof why, "longer than %zu bytes", e->out.limit);
        pst_builder_reject(e->builder, NULL, 0, "record", why);
    }
}

/* For something on either pipe, or the cancel. */
static void wait_for(exec *e, const pst_call *call)
{
    struct pollfd p[3] = {{e->out.fd, POLLIN, 0},
                          {e->errors.at_end ? -1 : e->errors.fd, POLLIN, 0},
                          {call->cancel_fd, POLLIN, 0}};
    poll(p, 3, WAIT_MS);
}

static bool has_news(const exec *e)
{
    return pst_builder_bytes(e->builder) > 0;
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
    e->lines = 0;
    if (!e->running && e->every_us && e->host->wall_us(e->host) < e->due_us)
        return rest(e, out);
    pst_status st = e->running ? PST_OK : start(e, call, error);
    if (st)
        return st;
    pst_builder_clear(e->builder);
    take_records(e, max_rows);
    if (!has_news(e) && !e->out.at_end) {
        wait_for(e, call);
        take_records(e, max_rows);
    }
    take_errors(e);
    if (has_news(e))
        return pst_builder_finish(e->builder, NULL, (pst_bytes){0}, PST_BATCH_RAW, out, error);
    out->next_in_ms = 1;
    st = e->out.at_end ? ended(e, call, out, error) : look_for(e, call, error);
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

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, 0, on_open, on_read, NULL, on_close, NULL};
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.exec", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Programs", .licence = "Apache-2.0", .metrics = metrics,
           .n_metrics = sizeof metrics / sizeof *metrics, .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
