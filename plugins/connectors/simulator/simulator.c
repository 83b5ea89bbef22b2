/* The connector: ticks on the grid of the cadence, every device once a tick. The back-fill begins at (first
 * open - backfill), then the wall clock is followed. The cursor is text, "v1 <end of back-fill> <tick>
 * <device>": all that is needed to go on exactly, since every reading is a function of seed, device and time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"
#include "scene.h"

typedef struct simulator {
    const pst_host *host;
    const scene *scene;
    fault_plan faults;
    uint64_t seed;
    uint32_t devices;
    int64_t cadence_us, backfill_us;
    scene_memory *memories;
    pst_builder *builder;
    int time, device_id, status, values[SCENE_COLUMNS_MAX];
    int64_t backfill_end_us, tick_us; /* the next reading */
    uint32_t device;
} simulator;

static void on_destroy(void *self)
{
    simulator *s = self;
    if (!s)
        return;
    pst_builder_free(s->builder);
    free(s->memories);
    free(s);
}

static pst_status duration_of(const pst_host *host, const char *path, int64_t least_us, int64_t *out,
                              pst_error *error)
{
    const char *text = host->config_text(host, path);
    if (text && fault_duration(text, strlen(text), out) && *out >= least_us)
        return PST_OK;
    return pst_fail(error, PST_E_CONFIG, path, "a time such as 10s, 5m or 7d is expected");
}

static pst_status configure(simulator *s, pst_error *error)
{
    const pst_host *host = s->host;
    const char *name = host->config_text(host, "/scene"), *faults = host->config_text(host, "/faults");
    const char *plant = host->config_text(host, "/plant");
    s->scene = name && !strcmp(name, scene_mini_grid.name) ? &scene_mini_grid : &scene_pump_station;
    s->seed = (uint64_t)host->config_int(host, "/seed");
    s->devices = (uint32_t)host->config_int(host, "/devices");
    s->faults.random = faults && !strcmp(faults, "random");
    fault_scene known = {s->scene->device_prefix, s->scene->faults, s->scene->n_faults, s->devices};
    pst_status st = fault_parse(plant ? plant : "none", &known, &s->faults, error);
    if (!st && faults && !strcmp(faults, "none") && s->faults.n_planted)
        st = pst_fail(error, PST_E_CONFIG, "/plant", "faults: none allows no planted fault");
    if (!st)
        st = duration_of(host, "/cadence", 1000000, &s->cadence_us, error);
    return st ? st : duration_of(host, "/backfill", 0, &s->backfill_us, error);
}

static bool build_columns(simulator *s)
{
    s->builder = pst_builder_create();
    s->memories = calloc(s->devices, sizeof *s->memories);
    if (!s->builder || !s->memories)
        return false;
    s->time = pst_builder_column(s->builder, "time", PST_TIME);
    s->device_id = pst_builder_column(s->builder, "device_id", PST_TEXT);
    for (uint32_t k = 0; k < s->scene->n_columns; k++)
        s->values[k] = pst_builder_column(s->builder, s->scene->columns[k], PST_NUMBER);
    s->status = pst_builder_column(s->builder, "status", PST_TEXT);
    return s->status >= 0;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    simulator *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->host = host;
    pst_status st = configure(s, error);
    if (!st && !build_columns(s))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "%u devices do not fit into memory", s->devices);
    if (st)
        on_destroy(s);
    else
        *self = s;
    return st;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    (void)call;
    simulator *s = self;
    if (!resume.len) {
        s->backfill_end_us = noise_floor(s->host->wall_us(s->host), s->cadence_us);
        s->tick_us = noise_floor(s->backfill_end_us - s->backfill_us, s->cadence_us);
        s->device = 0;
        return PST_OK;
    }
    char text[96] = "";
    if (resume.len < sizeof text)
        memcpy(text, resume.data, resume.len);
    if (sscanf(text, "v1 %" SCNd64 " %" SCNd64 " %" SCNu32, &s->backfill_end_us, &s->tick_us, &s->device) !=
        3)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    int64_t aligned = noise_floor(s->tick_us, s->cadence_us);
    if (aligned != s->tick_us ||
        s->device >= s->devices) { /* cadence or devices were changed: go on at the next tick */
        s->tick_us = aligned == s->tick_us ? aligned : aligned + s->cadence_us;
        s->device = 0;
    }
    return PST_OK;
}

static void add_reading(simulator *s)
{
    static const char *const words[] = {"ok", "warn", "fault"};
    noise n = {s->seed, s->device};
    scene_reading r;
    fault_effect effect = fault_at(&s->faults, n, s->tick_us, s->backfill_end_us);
    s->scene->read(n, s->tick_us, effect, &s->memories[s->device], &r);
    char name[48];
    snprintf(name, sizeof name, "%s%u", s->scene->device_prefix, s->device + 1);
    pst_builder_set_int(s->builder, s->time, s->tick_us);
    pst_builder_set_text(s->builder, s->device_id, name);
    for (uint32_t k = 0; k < s->scene->n_columns; k++)
        pst_builder_set_real(s->builder, s->values[k], r.values[k]);
    pst_builder_set_text(s->builder, s->status, words[r.status]);
    pst_builder_row(s->builder);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    simulator *s = self;
    int64_t now = s->host->wall_us(s->host);
    if (s->tick_us > now) {
        int64_t wait_ms = (s->tick_us - now + 999) / 1000;
        out->next_in_ms = wait_ms < 60000 ? (uint32_t)wait_ms : 60000;
        return PST_IDLE;
    }
    for (uint32_t n = 0; n < max_rows && s->tick_us <= now; n++) {
        add_reading(s);
        if (++s->device == s->devices) {
            s->device = 0;
            s->tick_us += s->cadence_us;
        }
        if (n % 1024 == 1023 && s->host->cancelled(s->host, call))
            break;
    }
    char cursor[96];
    int len = snprintf(cursor, sizeof cursor, "v1 %" PRId64 " %" PRId64 " %" PRIu32, s->backfill_end_us,
                       s->tick_us, s->device);
    return pst_builder_finish(s->builder, NULL, (pst_bytes){cursor, (size_t)len}, 0, out, error);
}

static void on_close(void *self)
{
    (void)self; /* nothing is open */
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_REPLAYS, on_open, on_read,
                                      NULL,          on_close,           NULL};
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.simulator", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Simulator: pump station or mini-grid", .licence = "Apache-2.0",
           .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
