/* A plugin with every interface, compiled with today's header and with a longer one.
 *
 * `struct` and `size` in its configuration: that interface is then handed over in a block of its own of just
 * that size, cut short or with garbage behind it, so that a cell that reads too far is caught. Compiled with
 * the longer header (GROWN) it looks at every struct that it gets: what this cell does not have must not seem
 * to be there, and the other way round with a cell of that header. */
#include <stdlib.h>
#include <string.h>

#include "penstock/batch.h"

extern const char config_schema[];

typedef struct every {
    const pst_host *host;
    const char *cut; /* name of the struct, or NULL */
    void *block;
} every;

static every the_one;

/* PST_E_INTERNAL unless the struct has, or lacks, what the longer header adds: `longer` in the configuration.
 */
#ifdef GROWN
#define LOOK(p, type)                                                                                        \
    do {                                                                                                     \
        if (PST_HAS(p, type, grown_call) != the_one.host->config_flag(the_one.host, "/longer"))              \
            return pst_fail(error, PST_E_INTERNAL, NULL, #type " has %u bytes", (unsigned)(p)->struct_size); \
        if (PST_HAS(p, type, grown_call) && ((p)->grown || (p)->grown_call))                                 \
            return pst_fail(error, PST_E_INTERNAL, NULL, #type " is not zero at its end");                   \
    } while (0)
#define MORE .grown = 0xa5a5a5a5a5a5a5a5u, .grown_call = abort,
#else
#define LOOK(p, type) (void)(p)
#define MORE
#endif
#define LOOK_CALL()             \
    do {                        \
        (void)self;             \
        LOOK(call, pst_call);   \
        LOOK(error, pst_error); \
    } while (0)

/* ---- Source, push ---- */

static pst_status rows(pst_batch *out, uint32_t flags, pst_error *error)
{
    LOOK(out, pst_batch);
    pst_builder *b = pst_builder_create();
    int n = pst_builder_column(b, "n", PST_INTEGER);
    pst_builder_set_int(b, n, 7);
    pst_builder_row(b);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){"c", 1}, flags | 1u << 30, out, error);
    pst_builder_free(b);
    return status;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    (void)resume;
    LOOK_CALL();
    return PST_OK;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    (void)max;
    LOOK_CALL();
    return rows(out, 0, error);
}

static pst_status on_ack(void *self, const pst_call *call, pst_bytes upto, pst_error *error)
{
    (void)upto;
    LOOK_CALL();
    return PST_OK;
}

static void on_close(void *self)
{
    (void)self;
}

static pst_status answer_http(const pst_request *request, pst_reply *reply, pst_error *error)
{
    LOOK(request, pst_request);
    LOOK(reply, pst_reply);
    reply->http_status = 200;
    return pst_blob_set(&reply->body, "ok", 2, error);
}

static pst_status on_receive(void *self, const pst_call *call, const pst_request *request, pst_reply *reply,
                             pst_error *error)
{
    LOOK_CALL();
    return answer_http(request, reply, error);
}

static pst_status on_next(void *self, const pst_call *call, pst_batch *out, pst_error *error)
{
    LOOK_CALL();
    LOOK(out, pst_batch);
    return PST_END;
}

/* ---- Sink, command, discover, check ---- */

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *out, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    (void)refused, (void)cap, (void)n_refused;
    LOOK_CALL();
    LOOK(out, pst_outgoing);
    return PST_OK;
}

static pst_status on_list(void *self, const pst_call *call, pst_blob *out, pst_error *error)
{
    LOOK_CALL();
    return pst_blob_set(out, "[]", 2, error);
}

static pst_status on_command(void *self, const pst_call *call, const char *verb, const char *input,
                             pst_command_result *out, pst_error *error)
{
    (void)verb, (void)input;
    LOOK_CALL();
    LOOK(out, pst_command_result);
    out->state = PST_COMMAND_DONE;
    return PST_OK;
}

static pst_status on_about(void *self, const pst_call *call, const char *id, pst_command_result *out,
                           pst_error *error)
{
    return on_command(self, call, id, NULL, out, error);
}

static pst_status on_cancel(void *self, const pst_call *call, const char *id, pst_error *error)
{
    (void)id;
    LOOK_CALL();
    return PST_OK;
}

/* A rate in a block of just `size` bytes. */
static pst_status try_rate(const pst_call *call, size_t size, pst_error *error)
{
    const pst_limit_service *limit = the_one.host->get_service(the_one.host, PST_SERVICE_LIMIT);
    const pst_rate whole = {sizeof whole, 0, 1e6, 100, MORE};
    pst_rate *cut = malloc(size);
    LOOK(limit, pst_limit_service);
    memset(cut, 0xa5, size);
    memcpy(cut, &whole, size < sizeof whole ? size : sizeof whole);
    cut->struct_size = (uint32_t)size;
    pst_status status = limit->acquire(the_one.host, call, "p", 1, cut, 1000000, error);
    free(cut);
    return status;
}

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    const pst_host *host = the_one.host;
    LOOK_CALL();
    LOOK(host, pst_host);
    const pst_json_service *json = host->get_service(host, PST_SERVICE_JSON);
    const pst_files *files = host->get_service(host, PST_SERVICE_FILES);
    const pst_state_service *state = host->get_service(host, PST_SERVICE_STATE);
    LOOK(json, pst_json_service);
    LOOK(files, pst_files);
    LOOK(state, pst_state_service);
    const pst_material_service *material = host->get_service(host, PST_SERVICE_MATERIAL);
    const pst_health_service *health = host->get_service(host, PST_SERVICE_HEALTH);
    LOOK(material, pst_material_service);
    LOOK(health, pst_health_service);
    const pst_program_service *program = host->get_service(host, PST_SERVICE_PROGRAM);
    LOOK(program, pst_program_service);
    int fds[2];
    if (program->start(host, call, &fds[0], &fds[1], error) != PST_E_UNSUPPORTED)
        return pst_fail(error, PST_E_INTERNAL, NULL, "a plugin that is not trusted may start programs");
    if (host->get_service(host, "penstock.time_travel/1") || host->get_service(host, ""))
        return pst_fail(error, PST_E_INTERNAL, NULL, "a service that nobody has was offered");
    if (the_one.cut && !strcmp(the_one.cut, "pst_rate"))
        return try_rate(call, (size_t)host->config_int(host, "/size"), error);
    return try_rate(call, sizeof(pst_rate), error);
}

/* ---- Notifier ---- */

static pst_status on_send(void *self, const pst_call *call, const pst_message *m, pst_delivery *out,
                          pst_error *error)
{
    LOOK_CALL();
    LOOK(m, pst_message);
    LOOK(out, pst_delivery);
    out->state = PST_DELIVERY_DONE;
    return PST_OK;
}

static pst_status on_receipt(void *self, const pst_call *call, const pst_request *request, pst_reply *reply,
                             pst_receipt *out, size_t cap, size_t *n_out, pst_error *error)
{
    (void)out, (void)cap, (void)n_out;
    LOOK_CALL();
    return answer_http(request, reply, error);
}

/* ---- Metric engine, model ---- */

static pst_status on_prepare(void *self, const pst_call *call, const char *definition, void **prepared,
                             pst_error *error)
{
    (void)definition, (void)prepared;
    LOOK_CALL();
    return PST_OK;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared, const char *parameters,
                              const pst_input *inputs, size_t n, pst_batch *out, pst_error *error)
{
    (void)prepared, (void)parameters, (void)inputs, (void)n;
    LOOK_CALL();
    return rows(out, 0, error);
}

static void on_discard(void *self, void *prepared)
{
    (void)self, (void)prepared;
}

static pst_status on_train(void *self, const pst_call *call, const pst_input *inputs, size_t n,
                           pst_blob *artifact, pst_blob *info, pst_error *error)
{
    (void)inputs, (void)n, (void)info;
    LOOK_CALL();
    return pst_blob_set(artifact, "a", 1, error);
}

static uint32_t on_context_rows(void *self)
{
    (void)self;
    return 3;
}

static pst_status on_load(void *self, const pst_call *call, pst_bytes artifact, void **loaded,
                          pst_error *error)
{
    (void)artifact, (void)loaded;
    LOOK_CALL();
    return PST_OK;
}

static pst_status on_infer(void *self, const pst_call *call, const void *loaded, const pst_input *inputs,
                           size_t n, pst_batch *out, pst_error *error)
{
    (void)loaded, (void)inputs, (void)n;
    LOOK_CALL();
    return rows(out, 0, error);
}

/* ---- What it offers ---- */

static const pst_source source = {.struct_size = sizeof source,
                                  .flags = PST_SOURCE_REPLAYS | 1u << 30,
                                  .open = on_open,
                                  .read = on_read,
                                  .ack = on_ack,
                                  .close = on_close,
                                  .skip = on_read,
                                  MORE};
static const pst_push push = {.struct_size = sizeof push, .receive = on_receive, .next = on_next, MORE};
static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write, MORE};
static const pst_command command = {.struct_size = sizeof command,
                                    .list = on_list,
                                    .send = on_command,
                                    .fetch = on_about,
                                    .find = on_about,
                                    .cancel = on_cancel,
                                    MORE};
static const pst_discover discover = {.struct_size = sizeof discover, .discover = on_list, MORE};
static const pst_check check = {.struct_size = sizeof check, .check = on_check, MORE};
static const pst_send send = {.struct_size = sizeof send, .send = on_send, MORE};
static const pst_receipts receipts = {.struct_size = sizeof receipts, .receive = on_receipt, MORE};
static const pst_metric_engine engine = {.struct_size = sizeof engine,
                                         .prepare = on_prepare,
                                         .evaluate = on_evaluate,
                                         .discard = on_discard,
                                         MORE};
static const pst_train train = {.struct_size = sizeof train, .train = on_train, MORE};
static const pst_infer infer = {.struct_size = sizeof infer,
                                .context_rows = on_context_rows,
                                .load = on_load,
                                .infer = on_infer,
                                .unload = on_discard,
                                MORE};
static const pst_explain explain = {.struct_size = sizeof explain, .explain = on_infer, MORE};

static const struct {
    const char *name, *id;
    const void *whole;
    size_t size;
} offered[] = {
    {"pst_source", PST_IF_SOURCE, &source, sizeof source},
    {"pst_push", PST_IF_PUSH, &push, sizeof push},
    {"pst_sink", PST_IF_SINK, &sink, sizeof sink},
    {"pst_command", PST_IF_COMMAND, &command, sizeof command},
    {"pst_discover", PST_IF_DISCOVER, &discover, sizeof discover},
    {"pst_check", PST_IF_CHECK, &check, sizeof check},
    {"pst_send", PST_IF_SEND, &send, sizeof send},
    {"pst_receipts", PST_IF_RECEIPT, &receipts, sizeof receipts},
    {"pst_metric_engine", PST_IF_METRIC, &engine, sizeof engine},
    {"pst_train", PST_IF_TRAIN, &train, sizeof train},
    {"pst_infer", PST_IF_INFER, &infer, sizeof infer},
    {"pst_explain", PST_IF_EXPLAIN, &explain, sizeof explain},
    {"", "penstock.connector.dreams/1", &source, sizeof source}, /* nobody asks for it */
};

static const void *get_interface(const char *id)
{
    for (size_t i = 0; i < sizeof offered / sizeof *offered; i++)
        if (!strcmp(id, offered[i].id))
            return the_one.block && !strcmp(the_one.cut, offered[i].name) ? the_one.block : offered[i].whole;
    return NULL;
}

static void cut_one(size_t size)
{
    for (size_t i = 0; i < sizeof offered / sizeof *offered; i++) {
        if (strcmp(the_one.cut, offered[i].name) != 0)
            continue;
        uint32_t length = (uint32_t)size;
        the_one.block = malloc(size);
        memset(the_one.block, 0xa5, size);
        memcpy(the_one.block, offered[i].whole, size < offered[i].size ? size : offered[i].size);
        memcpy(the_one.block, &length, sizeof length);
    }
}

static pst_status create(const pst_host *host, void **self, pst_error *error)
{
    the_one.host = host;
    LOOK(host, pst_host);
    LOOK(error, pst_error);
    the_one.cut = host->config_text(host, "/struct");
    if (the_one.cut)
        cut_one((size_t)host->config_int(host, "/size"));
    *self = &the_one;
    return PST_OK;
}

static void destroy(void *self)
{
    (void)self;
    free(the_one.block);
    the_one.block = NULL;
}

#ifndef DESCRIPTION_BYTES
#define DESCRIPTION_BYTES sizeof(pst_plugin)
#endif
PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = DESCRIPTION_BYTES,
                                                  .abi_minor = PST_ABI_MINOR + 7,
                                                  .id = "org.penstock.test." EVERY_NAME,
                                                  .kind = PST_KIND_CONNECTOR,
                                                  .version = "1.0.0",
                                                  .title = "Everything",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = config_schema,
                                                  .get_interface = get_interface,
                                                  .create = create,
                                                  .destroy = destroy,
                                                  MORE};
