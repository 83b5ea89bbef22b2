/* One small connector or metric engine, right in everything but what DEFECT_… says: each conformance case
 * must find its own. Without a defect all cases pass. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "penstock/batch.h"

#ifndef DEFECT_NONE
#define DEFECT_NONE 0
#endif
#define EVERY_US 1000000

/* The schema is written here, so that a defect may stand in it. */
static const char schema[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\","
#ifndef DEFECT_WRONG_CONFIG
    "\"additionalProperties\": false,"
#endif
#ifdef DEFECT_EXAMPLES
    "\"examples\": [{\"every\": \"soon\"}],"
#endif
    "\"properties\": {\"every\": {"
#ifndef DEFECT_SCHEMA
    "\"title\": \"Seconds between rows\","
#endif
    "\"type\": \"integer\", \"minimum\": 1, \"default\": 1},"
#ifdef AS_SINK
    "\"host\": {\"title\": \"Host\", \"type\": \"string\", \"format\": \"hostname\"},"
    "\"port\": {\"title\": \"Port\", \"type\": \"integer\"},"
#endif
    "\"token\": {\"title\": \"Token\", \"type\": \"string\", \"format\": \"penstock-secret\"}}}";

typedef struct thing {
    const pst_host *host;
    int64_t newest_us;
    bool starting;
} thing;

#ifdef DEFECT_PROBE
__attribute__((constructor)) static void slow(void)
{
    usleep(150000);
}
#endif

#ifdef USES_STATE
/* Counts in a durable key how often it was opened; every step must be answered as the header says. */
static pst_status count_opening(const pst_host *host, const pst_call *call, pst_error *error)
{
    const pst_state_service *state = host->get_service(host, PST_SERVICE_STATE);
    uint64_t version = 0, newer = 0;
    uint32_t times = 0;
    size_t len = 0, n = 0;
    pst_state_key keys[2];
    pst_status status = state->get(host, call, "opened", &times, sizeof times, &len, &version, error);
    times++;
    if (!status)
        status =
            state->put(host, call, "opened", (pst_bytes){&times, sizeof times}, version, 0, &newer, error);
    if (!status && (newer <= version || state->put(host, call, "opened", (pst_bytes){"", 0}, version, 0, NULL,
                                                   error) != PST_E_DATA))
        status = pst_fail(error, PST_E_INTERNAL, NULL, "an old version was taken");
    if (!status)
        status = state->list(host, call, "open", NULL, keys, 2, &n, error);
    if (!status && (n != 1 || strcmp(keys[0].key, "opened") != 0 || keys[0].version != newer))
        status = pst_fail(error, PST_E_INTERNAL, NULL, "the list is wrong");
    if (!status && state->remove(host, call, "opened", version, error) != PST_E_DATA)
        status = pst_fail(error, PST_E_INTERNAL, NULL, "an old version was removed");
    return status;
}
#endif

static pst_status on_open(void *self, const pst_call *call, pst_bytes after, pst_error *error)
{
    (void)call;
    thing *t = self;
#ifdef USES_STATE
    pst_status counted = count_opening(t->host, call, error);
    if (counted)
        return counted;
#endif
    t->starting = !after.len;
    t->newest_us = t->host->wall_us(t->host) / EVERY_US * EVERY_US;
    if (after.len && after.len != sizeof t->newest_us)
        return pst_fail(error, PST_E_DATA, NULL, "not a cursor of this connector");
    if (after.len)
        memcpy(&t->newest_us, after.data, sizeof t->newest_us);
#ifdef DEFECT_REPLAY
    t->newest_us += after.len ? EVERY_US : 0;
#endif
#ifdef DEFECT_ACKED
    t->newest_us -= after.len ? EVERY_US : 0;
#endif
#ifdef DEFECT_SECRETS
    char token[256];
    size_t len;
    if (!t->host->secret(t->host, call, "/token", token, sizeof token, &len, error)) {
        pst_field field = {"token", token};
        t->host->log(t->host, PST_LOG_INFO, "logging in", &field, 1);
    }
#endif
    return PST_OK;
}

/* Waits for nothing at all, as a driver does whose far side is silent. */
static void linger(const thing *t, const pst_call *call)
{
#ifdef DEFECT_CANCEL
    while (t->host->now_us(t->host) < call->deadline_us - 100000)
        usleep(20000);
#elif defined DEFECT_DEADLINE
    struct pollfd cancel = {.fd = call->cancel_fd, .events = POLLIN};
    poll(&cancel, 1, 5000);
    (void)t;
#else
    (void)t;
    (void)call;
#endif
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    thing *t = self;
    linger(t, call);
#ifdef DEFECT_BATCHES
    max_rows += 5;
#endif
    int64_t now = t->host->wall_us(t->host), next = t->newest_us + EVERY_US;
    if (now < next && !t->starting) {
        out->next_in_ms = 10000;
        return PST_IDLE;
    }
    pst_builder *b = pst_builder_create();
    int time = pst_builder_column(b, "time", PST_TIME);
    for (; next <= now && pst_builder_rows(b) < max_rows; next += EVERY_US) {
        pst_builder_set_int(b, time, next);
        pst_builder_row(b);
        t->newest_us = next;
    }
    t->starting = false;
    pst_status status =
        pst_builder_finish(b, NULL, (pst_bytes){&t->newest_us, sizeof t->newest_us}, 0, out, error);
    pst_builder_free(b);
    return status;
}

/* One record is one second. */
static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    (void)call;
    thing *t = self;
    pst_builder *b = pst_builder_create();
    for (uint32_t i = 0; i < max; i++)
        pst_builder_reject(b, "tick", 4, NULL, "skipped");
#ifndef DEFECT_SKIP
    t->newest_us += max * EVERY_US;
#endif
    pst_status status =
        pst_builder_finish(b, NULL, (pst_bytes){&t->newest_us, sizeof t->newest_us}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_close(void *self)
{
    (void)self;
}

/* ---- The same as a metric engine: the sum of a column ---- */

static pst_status on_prepare(void *self, const pst_call *call, const char *definition, void **prepared,
                             pst_error *error)
{
    (void)self, (void)call, (void)definition, (void)error;
    *prepared = NULL;
    return PST_OK;
}

static double disturb(double sum, const pst_column *c)
{
#ifdef DEFECT_SAME_OUTPUT
    static int calls;
    sum += calls++;
#endif
#ifdef DEFECT_ANY_ORDER
    sum += pst_column_real(c, 0);
#endif
#ifdef DEFECT_CELL
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0)
        sum += 1;
    close(fd);
#endif
    (void)c;
    return sum;
}

static pst_status on_evaluate(void *self, const pst_call *call, const void *prepared, const char *parameters,
                              const pst_input *inputs, size_t n, pst_batch *out, pst_error *error)
{
    (void)self, (void)call, (void)prepared, (void)parameters;
    pst_column c;
    if (!n || pst_column_find(inputs[0].schema, inputs[0].array, "x", &c, error))
        return PST_E_CONFIG;
    double sum = 0;
    for (uint32_t i = 0; i < c.rows; i++)
        sum += pst_column_real(&c, i);
    pst_builder *b = pst_builder_create();
    pst_builder_set_real(b, pst_builder_column(b, "sum", PST_NUMBER), disturb(sum, &c));
    pst_builder_row(b);
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, error);
    pst_builder_free(b);
    return status;
}

static void on_discard(void *self, void *prepared)
{
    (void)self, (void)prepared;
}

/* ---- The same as a sink: lines of JSON over TCP, each answered by "ok" ---- */

#ifdef AS_SINK
static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    thing *t = self;
    (void)refused, (void)cap, (void)n_refused;
    struct sockaddr_in far = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)t->host->config_int(t->host, "/port")),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct pollfd wait[] = {{.events = POLLIN}, {.fd = call->cancel_fd, .events = POLLIN}};
    char reply[3] = "";
    wait[0].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int left_ms = (int)((call->deadline_us - t->host->now_us(t->host)) / 1000);
    bool taken = connect(wait[0].fd, (struct sockaddr *)&far, sizeof far) == 0 &&
                 send(wait[0].fd, "rows\n", 5, MSG_NOSIGNAL) == 5 && poll(wait, 2, left_ms) > 0 &&
                 wait[0].revents && recv(wait[0].fd, reply, 2, 0) == 2 && !strcmp(reply, "ok");
    close(wait[0].fd);
#ifdef DEFECT_NOT_TAKEN
    taken = true;
#endif
#ifdef DEFECT_AGAIN
    taken = taken && !(batch->flags & PST_OUTGOING_AGAIN);
#endif
    (void)batch;
    return taken ? PST_OK : pst_fail(error, PST_E_UNAVAILABLE, NULL, "the far side does not take it");
}
#endif

/* ---- The plugin ---- */

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {.struct_size = sizeof source,
                                      .flags = PST_SOURCE_REPLAYS,
                                      .open = on_open,
                                      .read = on_read,
                                      .close = on_close,
                                      .skip = on_skip};
    static const pst_metric_engine metric = {
        .struct_size = sizeof metric, .prepare = on_prepare, .evaluate = on_evaluate, .discard = on_discard};
#ifdef DEFECT_UNKNOWN_NAMES
    return &source;
#endif
#ifdef AS_SINK
    static const pst_sink sink = {.struct_size = sizeof sink, .write = on_write};
    (void)source, (void)metric;
    return !strcmp(id, PST_IF_SINK) ? &sink : NULL;
#elif defined AS_METRIC
    (void)source;
    return !strcmp(id, PST_IF_METRIC) ? &metric : NULL;
#else
    (void)metric;
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
#endif
}

#ifdef DEFECT_THREADS
static void *sleep_for_ever(void *arg)
{
    for (;;)
        pause();
    return arg;
}
#endif

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    thing *t = calloc(1, sizeof *t);
#ifndef DEFECT_NO_MEMORY
    if (!t)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
#endif
    t->host = host;
    *self = t;
#ifdef DEFECT_OLD_HOST
    if (((const volatile char *)host)[sizeof *host])
        t->starting = true;
#endif
#ifdef DEFECT_NEW_HOST
    if (host->struct_size != sizeof *host)
        return pst_fail(error, PST_E_CONFIG, NULL, "another host than the one this was built for");
#endif
#ifdef DEFECT_DESCRIPTORS
    t->newest_us = open("/dev/null", O_RDONLY);
#endif
#ifdef DEFECT_THREADS
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    pthread_create(&thread, &small, sleep_for_ever, NULL);
#endif
#ifdef DEFECT_STARTS_NOTHING
    if (system("true"))
        return PST_E_INTERNAL;
#endif
    (void)error;
    return PST_OK;
}

static void on_destroy(void *self)
{
#ifdef DEFECT_HALF_BUILT
    ((volatile thing *)self)->starting = false;
#endif
#ifndef DEFECT_HEAP
    free(self);
#else
    (void)self;
#endif
}

#ifdef AS_METRIC
#define KIND PST_KIND_METRIC
#else
#define KIND PST_KIND_CONNECTOR
#endif

PST_EXPORT const pst_plugin penstock_plugin_v1 = {.struct_size = sizeof(pst_plugin),
                                                  .abi_minor = PST_ABI_MINOR,
                                                  .id = "org.penstock.test.defect",
                                                  .kind = KIND,
                                                  .version = "1.0.0",
                                                  .title = "Right but for one thing",
                                                  .licence = "Apache-2.0",
                                                  .config_schema = schema,
                                                  .get_interface = on_get_interface,
                                                  .create = on_create,
                                                  .destroy = on_destroy};
