/* The connector: each device is read in turn, in groups of points that are due together; a reading of a group
 * is a row. What a device refuses becomes a reject and costs the points of that request only; a device that
 * does not answer leaves the others alone (watch.h). Readings that nobody asked for are gone: at most once.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "line.h"
#include "watch.h"

extern const char config_schema[];
enum { IDLE_MS = 1000, RETRY_MS = 2000 };

typedef struct modbus {
    const pst_host *host;
    line line;
    map map;
    watch watch;
    pst_builder *builder;
    int time, name;
    pst_status failed; /* after rows that were still handed over: what the next read says */
    pst_error failure;
} modbus;

static void on_close(void *self)
{
    modbus *m = self;
    line_close(&m->line);
}

static void on_destroy(void *self)
{
    modbus *m = self;
    if (!m)
        return;
    on_close(m);
    watch_free(&m->watch);
    pst_builder_free(m->builder);
    free(m);
}

static pst_status configure(modbus *m, pst_error *error)
{
    const char *address = m->host->config_text(m->host, "/address"),
               *framing = m->host->config_text(m->host, "/framing");
    m->line.place.where = "/address";
    if (!address || !tcp_place_parse(address, "502", &m->line.place))
        return pst_fail(error, PST_E_CONFIG, "/address", "host or host:port is expected");
    m->line.rtu = framing && !strcmp(framing, "rtu_over_tcp");
    m->line.timeout_us = m->host->config_int(m->host, "/timeout_ms") * 1000;
    m->builder = pst_builder_create();
    if (!m->builder)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->time = pst_builder_column(m->builder, "time", PST_TIME);
    m->name = pst_builder_column(m->builder, "device_id", PST_TEXT);
    if (m->name < 0)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    pst_status st = map_read(m->host, m->builder, &m->map, error);
    return st ? st : watch_make(&m->watch, m->host, &m->map, m->line.timeout_us, !m->line.rtu, error);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    modbus *m = calloc(1, sizeof *m);
    if (!m)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->host = m->line.host = host;
    m->line.tcp.fd = -1;
    pst_status st = configure(m, error);
    if (st)
        on_destroy(m);
    else
        *self = m;
    return st;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    modbus *m = self;
    (void)resume;
    pst_status st = line_open(&m->line, call, error);
    watch_opened(&m->watch);
    m->failed = PST_OK;
    if (st == PST_E_UNAVAILABLE)
        error->retry_after_ms = RETRY_MS;
    return st;
}

/* ---- reading ---- */

static void reject(modbus *m, const device *d, const map_block *b, const line_result *r)
{
    char where[120], why[LINE_WHY_MAX];
    int n = snprintf(where, sizeof where, "%.60s: %s %u to %u", d->name, frame_table_name(b->table), b->from,
                     b->from + b->n - 1u);
    line_words(r, why);
    pst_builder_reject(m->builder, where, n > 0 ? (size_t)n : 0, where, why);
}

/* The points of a block into the row; how many have a value. */
static size_t set_points(modbus *m, const map_block *b, const uint8_t *data)
{
    size_t n = 0;
    for (size_t i = b->first; i < b->end; i++)
        n += map_set(&m->map.points[i], b, data, m->builder);
    return n;
}

static frame_ask ask_of(const device *d, const map_block *b)
{
    return (frame_ask){.unit = d->unit, .table = b->table, .from = b->from, .n = b->n};
}

/* A row, or rejects, or both; *silent_out: the rest of the device had better wait. PST_E_*: the connection
 * is no good any more. */
static pst_status read_group(modbus *m, const pst_call *call, device *d, size_t group, bool *silent_out,
                             pst_error *error)
{
    const map_group *g = &m->map.groups[group];
    size_t values = 0;
    int64_t at_us = m->host->wall_us(m->host);
    *silent_out = false;
    for (size_t i = g->first; i < g->end && !*silent_out; i++) {
        const map_block *b = &m->map.blocks[i];
        line_result r;
        pst_status st = line_ask(&m->line, call, ask_of(d, b), &r, error);
        if (st)
            return st;
        if (r.end == LINE_ANSWER)
            values += set_points(m, b, r.data);
        if (watch_note(&m->watch, d, i, r.end == LINE_ANSWER ? NULL : r.why))
            reject(m, d, b, &r);
        *silent_out = r.end == LINE_SILENT; /* its other registers will not answer either */
        (*silent_out ? watch_silent : watch_answered)(&m->watch, d, group, m->host->wall_us(m->host));
    }
    if (values) {
        pst_builder_set_int(m->builder, m->time, at_us);
        pst_builder_set_text(m->builder, m->name, d->name);
        pst_builder_row(m->builder);
    }
    return PST_OK;
}

/* What is due of one device, up to its first silence: groups that were answered before go first, so that one
 * that never is does not keep the others from showing that the device is there. */
static pst_status read_device(modbus *m, const pst_call *call, device *d, uint32_t max_rows, int64_t until_us,
                              pst_error *error)
{
    int64_t now = m->host->wall_us(m->host);
    uint32_t late = d->late;
    bool silent = false;
    pst_status st = PST_OK;
    const size_t n = m->map.n_groups;
    assert(n > 0); /* the schema of the configuration asks for a point */
    for (size_t i = 0; !st && !silent && i < 2 * n; i++) {
        size_t g = i % n;
        bool room = pst_builder_rows(m->builder) < max_rows && m->host->now_us(m->host) < until_us;
        if ((late >> g & 1) != (i >= n) || !room || !watch_due(&m->watch, d, g, now))
            continue;
        watch_begin(&m->watch, d, g, now);
        st = read_group(m, call, d, g, &silent, error);
    }
    return st;
}

static pst_status nobody(const modbus *m, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, "/devices", "%s:%s takes the connection, and %s",
                    m->line.place.host, m->line.place.port,
                    m->watch.heard ? "devices that answered do not any more" : "no device answers");
}

/* All that is due, until there are enough rows; *due_us: when the next is due. The next round begins with
 * another device. */
static pst_status read_due(modbus *m, const pst_call *call, uint32_t max_rows, int64_t *due_us,
                           pst_error *error)
{
    watch *w = &m->watch;
    assert(w->n > 0); /* the schema of the configuration asks for a device */
    int64_t until_us = call->deadline_us - 4 * m->line.timeout_us;
    pst_status st = PST_OK;
    size_t begin = w->next, k = 0;
    for (; !st && k < w->n; k++) {
        st = read_device(m, call, &w->devices[(begin + k) % w->n], max_rows, until_us, error);
        if (!st && watch_is_dead(w))
            st = nobody(m, error);
    }
    w->next = (begin + (st ? k : 1)) % w->n;
    *due_us = watch_next_due(w);
    return st;
}

static void tell_health(const modbus *m, const pst_call *call)
{
    const pst_health_service *health = m->host->get_service(m->host, PST_SERVICE_HEALTH);
    char text[PST_HEALTH_TEXT_MAX];
    watch_words(&m->watch, text, sizeof text);
    if (health)
        health->tell(m->host, call, text);
}

/* Rows that were read before it failed are handed over; the failure comes with the next read. */
static pst_status fail_later(modbus *m, pst_status st, pst_error *error)
{
    error->retry_after_ms = st == PST_E_UNAVAILABLE ? RETRY_MS : 0;
    if (!pst_builder_rows(m->builder))
        return st;
    m->failed = st;
    m->failure = *error;
    return PST_OK;
}

static pst_status hand_over(modbus *m, uint32_t wait_ms, pst_batch *out, pst_error *error)
{
    pst_status st = pst_builder_finish(m->builder, NULL, (pst_bytes){"", 0}, 0, out, error);
    if (!st && !out->array.length && !out->n_rejects) {
        out->array.release(&out->array);
        out->schema.release(&out->schema);
        *out = (pst_batch){.struct_size = out->struct_size};
        st = PST_IDLE;
    }
    out->next_in_ms = st < 0 ? 0 : wait_ms;
    return st;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    modbus *m = self;
    int64_t due_us;
    if (m->failed) {
        *error = m->failure;
        return m->failed;
    }
    if (m->line.tcp.fd < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/address", "there is no connection");
    pst_builder_clear(m->builder);
    pst_status st = read_due(m, call, max_rows, &due_us, error);
    if (st)
        st = fail_later(m, st, error);
    if (st)
        return st;
    tell_health(m, call);
    int64_t wait_us = due_us - m->host->wall_us(m->host);
    return hand_over(m,
                     wait_us <= 1000 || m->failed        ? 1
                     : wait_us > IDLE_MS * INT64_C(1000) ? IDLE_MS
                                                         : (uint32_t)(wait_us / 1000),
                     out, error);
}

/* ---- the plugin ---- */

/* Connects and reads the first request of the first device. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    modbus *m = self;
    const device *d = &m->watch.devices[0];
    const map_block *b = &m->map.blocks[0];
    line_result r;
    char why[LINE_WHY_MAX];
    pst_status st = on_open(m, call, (pst_bytes){"", 0}, error);
    if (!st)
        st = line_ask(&m->line, call, ask_of(d, b), &r, error);
    if (!st && r.end != LINE_ANSWER) {
        line_words(&r, why);
        st = pst_fail(error, r.end == LINE_SILENT ? PST_E_UNAVAILABLE : PST_E_CONFIG, "/points",
                      "%s, %s from %u: %s", d->name, frame_table_name(b->table), b->from, why);
    }
    on_close(m);
    return st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, 0, on_open, on_read, NULL, on_close, NULL};
    static const pst_check check = {sizeof check, 0, on_check};
    return !strcmp(id, PST_IF_SOURCE) ? (const void *)&source : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {
    .struct_size = sizeof(pst_plugin),
    .abi_minor = PST_ABI_MINOR,
    .id = "org.penstock.connector.modbus",
    .kind = PST_KIND_CONNECTOR,
    .version = "1.0.0",
    .title = "Modbus over TCP",
    .licence = "Apache-2.0",
    .config_schema = config_schema,
    .get_interface = on_get_interface,
    .create = on_create,
    .destroy = on_destroy,
};
