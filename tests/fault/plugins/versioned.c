/* One plugin of each sort (SORT_SOURCE, SORT_NOTIFIER, SORT_METRIC, SORT_MODEL) in many versions, built from
 * this file with different definitions: VERSION is stamped into all that it gives, and BAD_… makes it fail at
 * one step of being taken into use. A source hands over rows with growing numbers; its cursor is the next
 * number as text. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "penstock/batch.h"

#define WORDS(x) #x
#define TEXT(x) WORDS(x)

extern const char config_schema[];
static const pst_host *the_host;

#ifdef BAD_PROBE
__attribute__((constructor)) static void die_at_once(void)
{
    abort();
}
#endif
#ifdef BAD_START
__attribute__((constructor)) static void die_in_a_cell(void)
{
    if (getenv("PATH")) /* a probe has none */
        abort();
}
#endif

#ifdef SORT_SOURCE
enum { START_S = 1767225600 };
static int64_t next_number;

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume_after, pst_error *error)
{
    (void)self, (void)call, (void)error;
    char text[32] = {0};
    if (resume_after.len && resume_after.len < sizeof text)
        memcpy(text, resume_after.data, resume_after.len);
    next_number = strtoll(text, NULL, 10);
#ifdef BAD_OPEN
    return pst_fail(error, PST_E_UNAVAILABLE, NULL, "this version cannot open");
#else
    return PST_OK;
#endif
}

static void take_time(int64_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    (void)self, (void)call;
    char cursor[32];
    int64_t pace = the_host->config_int(the_host, "/pace"), end = the_host->config_int(the_host, "/rows");
    take_time(the_host->config_int(the_host, "/sleep_ms"));
    if (end && next_number >= end)
        return PST_IDLE;
    pst_builder *b = pst_builder_create();
    int at = pst_builder_column(b, "time", PST_TIME), n = pst_builder_column(b, "n", PST_INTEGER);
    int version = pst_builder_column(b, "version", PST_INTEGER),
        device = pst_builder_column(b, "device_id", PST_TEXT);
    for (int64_t i = 0; i < pace && i < max_rows && (!end || next_number < end); i++, next_number++) {
        pst_builder_set_int(b, at, START_S * INT64_C(1000000) + next_number * 1000);
        pst_builder_set_int(b, n, next_number);
        pst_builder_set_int(b, version, VERSION);
        pst_builder_set_text(b, device, "rig");
        pst_builder_row(b);
    }
    int len = snprintf(cursor, sizeof cursor, "%lld", (long long)next_number);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){cursor, (size_t)len}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static pst_status on_ack(void *self, const pst_call *call, pst_bytes durable_up_to, pst_error *error)
{
    (void)self, (void)call, (void)durable_up_to, (void)error;
    return PST_OK;
}

static void on_close(void *self)
{
    (void)self;
}

static const pst_source offered = {.struct_size = sizeof offered,
                                   .flags = PST_SOURCE_REPLAYS,
                                   .open = on_open,
                                   .read = on_read,
                                   .ack = on_ack,
                                   .close = on_close};
#define OFFERED_AS PST_IF_SOURCE
#define NAME "source"
#define KIND PST_KIND_CONNECTOR
#endif

#ifdef SORT_NOTIFIER
static pst_status on_send(void *self, const pst_call *call, const pst_message *m, pst_delivery *out,
                          pst_error *error)
{
    (void)self, (void)call, (void)m, (void)error;
    snprintf(out->external_id, sizeof out->external_id, "v" TEXT(VERSION));
    out->state = PST_DELIVERY_ACCEPTED;
    return PST_OK;
}

static const pst_send offered = {.struct_size = sizeof offered, .send = on_send};
#define OFFERED_AS PST_IF_SEND
#define NAME "notifier"
#define KIND PST_KIND_NOTIFIER
#endif

#if defined SORT_METRIC || defined SORT_MODEL
/* A row of the version for each row that came in. */
static pst_status give(uint32_t rows, uint32_t flags, pst_batch *out, pst_error *error)
{
    pst_builder *b = pst_builder_create();
    int version = pst_builder_column(b, "version", PST_INTEGER);
    int said = pst_builder_column(b, "said", PST_TEXT);
    for (uint32_t i = 0; i < rows; i++) {
        pst_builder_set_int(b, version, VERSION);
        pst_builder_set_text(b, said, "version " TEXT(VERSION));
        pst_builder_row(b);
    }
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, flags, out, error);
    pst_builder_free(b);
#ifdef BAD_ANSWER
    if (status == PST_OK)
        ((int32_t *)(uintptr_t)out->array.children[1]->buffers[1])[0] = -7;
#endif
    return status;
}
#endif

#ifdef SORT_METRIC
static pst_status on_prepare(void *self, const pst_call *call, const char *definition_json, void **prepared,
                             pst_error *error)
{
    (void)self, (void)call, (void)definition_json, (void)error;
    *prepared = &the_host;
    return PST_OK;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared,
                              const char *parameters_json, const pst_input *inputs, size_t n_inputs,
                              pst_batch *out, pst_error *error)
{
    (void)self, (void)call, (void)prepared, (void)parameters_json, (void)inputs, (void)n_inputs;
    return give(1, 0, out, error);
}

static void on_discard(void *self, void *prepared)
{
    (void)self, (void)prepared;
}

static const pst_metric_engine offered = {
    .struct_size = sizeof offered, .prepare = on_prepare, .evaluate = on_evaluate, .discard = on_discard};
#define OFFERED_AS PST_IF_METRIC
#define NAME "metric"
#define KIND PST_KIND_METRIC
#endif

#ifdef SORT_MODEL
static pst_status on_train(void *self, const pst_call *call, const pst_input *inputs, size_t n_inputs,
                           pst_blob *artifact_out, pst_blob *info_json_out, pst_error *error)
{
    (void)self, (void)call, (void)inputs, (void)n_inputs, (void)error;
    static char artifact[] = "nothing learned", info[] = "{}";
    *artifact_out = (pst_blob){sizeof *artifact_out, 0, artifact, sizeof artifact, NULL, NULL};
    *info_json_out = (pst_blob){sizeof *info_json_out, 0, info, sizeof info - 1, NULL, NULL};
    return PST_OK;
}

static uint32_t on_context_rows(void *self)
{
    (void)self;
    return 0;
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded,
                          pst_error *error)
{
    (void)self, (void)call, (void)artifact, (void)error;
    *loaded = &the_host;
    return PST_OK;
}

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n_inputs, pst_batch *out, pst_error *error)
{
    (void)self, (void)call, (void)loaded;
    return give(n_inputs ? (uint32_t)inputs[0].array->length : 0, PST_BATCH_ALIGNED, out, error);
}

static void on_unload(void *self, void *loaded)
{
    (void)self, (void)loaded;
}

static const pst_train train = {.struct_size = sizeof train, .train = on_train};
static const pst_infer offered = {.struct_size = sizeof offered,
                                  .context_rows = on_context_rows,
                                  .load = on_load,
                                  .infer = on_infer,
                                  .unload = on_unload};
#define OFFERED_AS PST_IF_INFER
#define NAME "model"
#define KIND PST_KIND_MODEL
#endif

static const void *get_interface(const char *id)
{
#ifdef SORT_MODEL
    if (!strcmp(id, PST_IF_TRAIN))
        return &train;
#endif
    return !strcmp(id, OFFERED_AS) ? &offered : NULL;
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    (void)error;
    the_host = host;
    *self = &the_host;
#ifdef BAD_CRASH
    raise(SIGSEGV);
#endif
#ifdef BAD_CONFIGURE
    return pst_fail(error, PST_E_CONFIG, "/pace", "this version refuses every configuration");
#else
    return PST_OK;
#endif
}

static void destroy(void *self)
{
    (void)self;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.versioned-" NAME,
                                                  .kind = KIND,
                                                  .version = TEXT(VERSION) ".0.0",
                                                  .title = "Versioned " NAME,
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy};
