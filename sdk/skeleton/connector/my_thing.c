/* my-thing, a Penstock connector: a tide gauge that needs no hardware. Put your thing in place of level_at.
 *
 * The cursor is the time of the newest row. The host keeps it together with the rows and opens there again after a
 * crash. Each row is a function of its time, so what was read and not acked comes again: PST_SOURCE_REPLAYS. A thing
 * that cannot repeat itself leaves that flag out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"
#include "penstock/define.h"

typedef struct gauge {
    const pst_host *host;
    const char *station;
    double mean_m, range_m;
    int64_t every_us, newest_us; /* newest_us: the time of the last row */
    bool starting;               /* opened without a cursor: tell the host first where we begin */
} gauge;

static double level_at(const gauge *g, int64_t at_us)
{
    double hours = (double)at_us / 3.6e9;
    return g->mean_m + g->range_m / 2 * sin(2 * M_PI * hours / 12.4206); /* the moon's half-day tide */
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    gauge *g = self;
    int64_t now = g->host->wall_us(g->host);
    g->starting = !resume_after.len;
    g->newest_us = now - now % g->every_us;
    if (resume_after.len && resume_after.len != sizeof g->newest_us)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (resume_after.len)
        memcpy(&g->newest_us, resume_after.data, sizeof g->newest_us);
    return PST_OK;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out, pst_error *error)
{
    gauge *g = self;
    int64_t now = g->host->wall_us(g->host), next = g->newest_us + g->every_us;
    if (now < next && !g->starting) {
        out->next_in_ms = (uint32_t)((next - now) / 1000 + 1);
        return PST_IDLE; /* never wait here for rows: say when to ask again */
    }
    pst_builder *b = pst_builder_create();
    if (!b)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
    int time = pst_builder_column(b, "time", PST_TIME);
    int station = pst_builder_column(b, "station", PST_TEXT);
    int level = pst_builder_column(b, "level_m", PST_NUMBER);
    for (; next <= now && pst_builder_rows(b) < max_rows; next += g->every_us) {
        pst_builder_set_int(b, time, next);
        pst_builder_set_text(b, station, g->station);
        pst_builder_set_real(b, level, level_at(g, next));
        pst_builder_row(b);
        g->newest_us = next;
    }
    g->starting = false;
    pst_bytes cursor = {&g->newest_us, sizeof g->newest_us};
    pst_status status = pst_builder_finish(b, NULL, cursor, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_close(void *self)
{ /* close what on_open opened */
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {
        .struct_size = sizeof source, .flags = PST_SOURCE_REPLAYS, .open = on_open, .read = on_read, .close = on_close};
    return strcmp(id, PST_IF_SOURCE) == 0 ? &source : NULL;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    gauge *g = calloc(1, sizeof *g);
    if (!g)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *g = (gauge){.host = host, .station = host->config_text(host, "/station")};
    g->mean_m = host->config_real(host, "/mean_m");
    g->range_m = host->config_real(host, "/range_m");
    g->every_us = host->config_int(host, "/every_ms") * 1000;
    *self = g;
    return PST_OK;
}

PST_PLUGIN(.id = "org.example.connector.my-thing", .kind = PST_KIND_CONNECTOR, .version = "0.1.0", .title = "My thing",
           .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = free);
