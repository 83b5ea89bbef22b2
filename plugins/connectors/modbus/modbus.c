/* The connector: each device is read in turn, in groups of points that are due together; a reading of a group
 * is a row. What a device refuses becomes a reject and costs the points of that request only; a device that
 * does not answer leaves the others alone. Readings that nobody asked for are gone: at most once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map.h"
#include "tcp.h"

extern const char config_schema[];
enum { DEVICES_MAX = 100, IDLE_MS = 1000, RETRY_MS = 2000 };

typedef struct device {
    const char *name;
    uint8_t unit;
    bool silent; /* it did not answer the last time */
    int64_t due_us[MAP_GROUPS_MAX];
} device;

typedef struct modbus {
    const pst_host *host;
    tcp_place place;
    tcp tcp;
    bool rtu;
    int64_t timeout_us;
    uint16_t transaction;
    device devices[DEVICES_MAX];
    size_t n_devices, next; /* next: where the next read begins */
    map map;
    pst_builder *builder;
    int time, name;
} modbus;

static void on_close(void *self)
{
    modbus *m = self;
    tcp_close(&m->tcp);
}

static void on_destroy(void *self)
{
    modbus *m = self;
    if (!m)
        return;
    on_close(m);
    pst_builder_free(m->builder);
    free(m);
}

static pst_status read_devices(modbus *m, pst_error *error)
{
    char path[64];
    m->n_devices = m->host->config_count(m->host, "/devices");
    if (m->n_devices > DEVICES_MAX)
        return pst_fail(error, PST_E_CONFIG, "/devices", "at most %d devices", DEVICES_MAX);
    for (size_t i = 0; i < m->n_devices; i++) {
        snprintf(path, sizeof path, "/devices/%zu/name", i);
        m->devices[i].name = m->host->config_text(m->host, path);
        snprintf(path, sizeof path, "/devices/%zu/unit", i);
        m->devices[i].unit = (uint8_t)m->host->config_int(m->host, path);
    }
    return PST_OK;
}

static pst_status configure(modbus *m, pst_error *error)
{
    const char *address = m->host->config_text(m->host, "/address"),
               *framing = m->host->config_text(m->host, "/framing");
    m->place.where = "/address";
    if (!address || !tcp_place_parse(address, "502", &m->place))
        return pst_fail(error, PST_E_CONFIG, "/address", "host or host:port is expected");
    m->rtu = framing && !strcmp(framing, "rtu_over_tcp");
    m->timeout_us = m->host->config_int(m->host, "/timeout_ms") * 1000;
    m->builder = pst_builder_create();
    if (!m->builder)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->time = pst_builder_column(m->builder, "time", PST_TIME);
    m->name = pst_builder_column(m->builder, "device_id", PST_TEXT);
    if (m->name < 0)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    pst_status st = read_devices(m, error);
    return st ? st : map_read(m->host, m->builder, &m->map, error);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    modbus *m = calloc(1, sizeof *m);
    if (!m)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    m->host = host;
    m->tcp.fd = -1;
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
    on_close(m);
    pst_status st = tcp_open(&m->tcp, m->host, call, &m->place, error);
    if (st == PST_E_UNAVAILABLE)
        error->retry_after_ms = RETRY_MS;
    return st;
}

/* ---- one request ---- */

/* What an earlier request left behind is of no use to this one. */
static pst_status drain(modbus *m, pst_error *error)
{
    uint8_t waste[FRAME_MAX];
    size_t n;
    pst_status st;
    do
        st = tcp_receive(&m->tcp, waste, sizeof waste, &n, error);
    while (!st);
    return st == PST_IDLE ? PST_OK : st;
}

/* PST_IDLE: no answer in time. PST_E_DATA: a refusal, or no answer to the request; `why` says it. */
static pst_status await(modbus *m, const pst_call *call, const frame_ask *ask, uint8_t in[2 * FRAME_MAX],
                        frame_answer *out, char why[120], pst_error *error)
{
    int64_t end = m->host->now_us(m->host) + m->timeout_us;
    size_t have = 0, n;
    for (;;) {
        frame_cut cut = frame_read(ask, in, have, out);
        if (cut == FRAME_WHOLE)
            return PST_OK;
        if (cut == FRAME_EXCEPTION)
            snprintf(why, 120, "exception %u: %s", out->exception, frame_exception_name(out->exception));
        else if (cut == FRAME_BAD)
            snprintf(why, 120, "%s", out->why);
        if (cut == FRAME_EXCEPTION || cut == FRAME_BAD)
            return PST_E_DATA;
        if (cut == FRAME_OTHER) {
            have -= out->taken;
            memmove(in, in + out->taken, have);
            continue;
        }
        pst_status st = tcp_wait(&m->tcp, call, end - m->host->now_us(m->host), error);
        if (!st)
            st = tcp_receive(&m->tcp, in + have, 2 * FRAME_MAX - have, &n, error);
        if (st == PST_IDLE && m->host->now_us(m->host) >= end)
            return PST_IDLE;
        if (st < 0)
            return st;
        have += st ? 0 : n;
    }
}

static pst_status ask_block(modbus *m, const pst_call *call, const device *d, const map_block *b, uint8_t *in,
                            frame_answer *answer, char why[120], pst_error *error)
{
    uint8_t out[FRAME_MAX];
    frame_ask ask = {m->rtu, ++m->transaction, d->unit, b->table, b->from, b->n};
    pst_status st = drain(m, error);
    if (!st)
        st = tcp_send(&m->tcp, call, out, frame_write(&ask, out), error);
    return st ? st : await(m, call, &ask, in, answer, why, error);
}

/* ---- reading ---- */

static void reject(modbus *m, const device *d, const map_block *b, const char *why)
{
    char where[120];
    int n = snprintf(where, sizeof where, "%.60s: %s %u to %u", d->name, frame_table_name(b->table), b->from,
                     b->from + b->n - 1u);
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

/* A row, or rejects, or both. PST_E_*: the connection is no good any more. */
static pst_status read_group(modbus *m, const pst_call *call, device *d, const map_group *g, pst_error *error)
{
    size_t values = 0;
    int64_t at_us = m->host->wall_us(m->host);
    for (size_t i = g->first; i < g->end; i++) {
        const map_block *b = &m->map.blocks[i];
        uint8_t in[2 * FRAME_MAX];
        frame_answer answer;
        char why[120] = "no answer";
        pst_status st = ask_block(m, call, d, b, in, &answer, why, error);
        d->silent = st == PST_IDLE;
        if (st < 0 && st != PST_E_DATA)
            return st;
        if (st)
            reject(m, d, b, why);
        else
            values += set_points(m, b, answer.data);
        if (d->silent)
            break; /* its other registers will not answer either */
    }
    if (values) {
        pst_builder_set_int(m->builder, m->time, at_us);
        pst_builder_set_text(m->builder, m->name, d->name);
        pst_builder_row(m->builder);
    }
    return PST_OK;
}

static size_t count_silent(const modbus *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_devices; i++)
        n += m->devices[i].silent;
    return n;
}

static void tell_health(const modbus *m, const pst_call *call)
{
    const pst_health_service *health = m->host->get_service(m->host, PST_SERVICE_HEALTH);
    char text[PST_HEALTH_TEXT_MAX] = "";
    size_t n = count_silent(m), i = 0;
    while (n && !m->devices[i].silent)
        i++;
    if (n)
        snprintf(text, sizeof text, "%zu of %zu devices do not answer, %.60s among them", n, m->n_devices,
                 m->devices[i].name);
    if (health)
        health->tell(m->host, call, text);
}

/* The next moment on the grid of the group. */
static int64_t next_due(int64_t now_us, int64_t every_us)
{
    return now_us - now_us % every_us + every_us;
}

/* All that is due, until there are enough rows; returns when the next is due. */
static pst_status read_due(modbus *m, const pst_call *call, uint32_t max_rows, int64_t *due_us,
                           pst_error *error)
{
    int64_t now = m->host->wall_us(m->host), until = call->deadline_us - 4 * m->timeout_us;
    *due_us = INT64_MAX;
    for (size_t k = 0; k < m->n_devices; k++) {
        device *d = &m->devices[(m->next + k) % m->n_devices];
        for (size_t g = 0; g < m->map.n_groups; g++) {
            bool room = pst_builder_rows(m->builder) < max_rows && m->host->now_us(m->host) < until;
            if (d->due_us[g] <= now && room) {
                d->due_us[g] = next_due(now, m->map.groups[g].every_us);
                pst_status st = read_group(m, call, d, &m->map.groups[g], error);
                if (st)
                    return st;
            }
            *due_us = d->due_us[g] < *due_us ? d->due_us[g] : *due_us;
        }
    }
    m->next = (m->next + 1) % m->n_devices;
    return PST_OK;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    modbus *m = self;
    int64_t due_us;
    if (m->tcp.fd < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/address", "there is no connection");
    pst_builder_clear(m->builder);
    bool before = count_silent(m) == m->n_devices;
    pst_status st = read_due(m, call, max_rows, &due_us, error);
    if (!st && !before && count_silent(m) == m->n_devices)
        st = pst_fail(error, PST_E_UNAVAILABLE, "/devices",
                      "%s:%s takes the connection, and no device answers", m->place.host, m->place.port);
    if (st < 0) {
        error->retry_after_ms = st == PST_E_UNAVAILABLE ? RETRY_MS : 0;
        return st;
    }
    tell_health(m, call);
    int64_t wait_us = due_us - m->host->wall_us(m->host);
    uint32_t wait_ms = wait_us <= 1000 ? 1 : wait_us > IDLE_MS * 1000 ? IDLE_MS : (uint32_t)(wait_us / 1000);
    st = pst_builder_finish(m->builder, NULL, (pst_bytes){"", 0}, 0, out, error);
    if (!st && !out->array.length && !out->n_rejects) {
        out->array.release(&out->array);
        out->schema.release(&out->schema);
        *out = (pst_batch){.struct_size = out->struct_size};
        st = PST_IDLE;
    }
    out->next_in_ms = st < 0 ? 0 : wait_ms;
    return st;
}

/* ---- the plugin ---- */

/* Connects and reads the first request of the first device. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    modbus *m = self;
    uint8_t in[2 * FRAME_MAX];
    frame_answer answer;
    char why[120] = "no answer";
    pst_status st = on_open(m, call, (pst_bytes){"", 0}, error);
    if (!st)
        st = ask_block(m, call, &m->devices[0], &m->map.blocks[0], in, &answer, why, error);
    if (st == PST_IDLE || st == PST_E_DATA)
        st = pst_fail(error, st == PST_IDLE ? PST_E_UNAVAILABLE : PST_E_CONFIG, "/points",
                      "%s, %s from %u: %s", m->devices[0].name, frame_table_name(m->map.blocks[0].table),
                      m->map.blocks[0].from, why);
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
