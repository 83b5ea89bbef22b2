/* The connector: a member of a consumer group whose records become raw payloads with topic, key, headers and
 * time beside them. The position is the host's: a cursor of offsets by partition, committed with the rows;
 * the group's offsets follow it after the ack, for other members and for tools that show how far we are
 * behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "look.h"
#include "share.h"

extern const char config_schema[];
enum {
    BATCH_BYTES = 2 * 1024 * 1024,
    REJECT_BYTES = 1024,
    SKIP_LEFT_US = 2000000,
    WAIT_MS = 20,
    IDLE_MS = 50,
    RETRY_FIRST_MS = 250,
    RETRY_LAST_MS = 4000,
    SHARE_LATE_US = 3000000,
    TOPIC_MAX = 250
};

typedef struct kafka {
    const pst_host *host;
    client client;
    share share;
    position position;
    pst_builder *builder;
    facts *facts;
    rd_kafka_message_t *stash; /* read ahead: of another topic than the batch before */
    unsigned stash_generation;
    char topic[TOPIC_MAX]; /* of the batch */
    uint32_t events;       /* of this read: what its cursor stands for */
    bool aside;            /* records are handed over as rejects: the host asked to pass over them */
    int64_t opened_us;
    uint32_t retry_ms; /* when to connect again; 0 = there was no failure since the last record */
    char unlisted[200], trouble[PST_HEALTH_TEXT_MAX], told[PST_HEALTH_TEXT_MAX];
    char cursor[POSITION_CURSOR_MAX];
} kafka;

static void drop_stash(kafka *k)
{
    if (k->stash)
        rd_kafka_message_destroy(k->stash);
    k->stash = NULL;
}

static void leave(kafka *k, bool politely)
{
    drop_stash(k);
    k->share.ending = true;
    client_close(&k->client, politely);
    share_end(&k->share);
    position_free(&k->position);
}

static void on_close(void *self)
{
    kafka *k = self;
    pst_error ignored = {.struct_size = sizeof ignored};
    leave(k, k->client.kafka && client_state(&k->client, &ignored) == PST_OK);
}

static void on_destroy(void *self)
{
    kafka *k = self;
    if (!k)
        return;
    leave(k, false);
    client_end(&k->client);
    pst_builder_free(k->builder);
    free(k->facts);
    free(k);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    kafka *k = calloc(1, sizeof *k);
    if (!k)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    k->host = host;
    client_init(&k->client, host);
    k->client.share = &k->share;
    k->share.client = &k->client;
    k->share.position = &k->position;
    k->share.from_end = !strcmp(host->config_text(host, "/start"), "latest");
    k->builder = pst_builder_create();
    k->facts = malloc(sizeof *k->facts);
    if (!k->builder || !k->facts) {
        on_destroy(k);
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    }
    *self = k;
    return PST_OK;
}

/* Brokers that are away are asked again within seconds, however long they were away. */
static pst_status failed(kafka *k, pst_status st, pst_error *error)
{
    if (st == PST_E_UNAVAILABLE || st == PST_E_TIMEOUT) {
        k->retry_ms = !k->retry_ms                  ? RETRY_FIRST_MS
                      : k->retry_ms < RETRY_LAST_MS ? k->retry_ms * 2
                                                    : RETRY_LAST_MS;
        error->retry_after_ms = k->retry_ms;
    }
    return st;
}

/* ---- opening ---- */

static pst_status subscribe(kafka *k, pst_error *error)
{
    char path[32];
    size_t n = k->host->config_count(k->host, "/topics");
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/topics/%zu", i);
        rd_kafka_topic_partition_list_add(topics, k->host->config_text(k->host, path), RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(k->client.kafka, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return err ? pst_fail(error, PST_E_CONFIG, "/topics", "subscribing failed: %s", rd_kafka_err2str(err))
               : PST_OK;
}

static pst_status begin(kafka *k, bool trial, pst_bytes resume, const rd_kafka_metadata_t *found,
                        pst_error *error)
{
    char *cluster = rd_kafka_clusterid(k->client.kafka, 1000);
    bool good = position_open(&k->position, cluster ? cluster : "", share_group(&k->client), resume);
    if (cluster)
        rd_kafka_mem_free(k->client.kafka, cluster);
    if (!good)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    client_unlisted(&k->client, found, k->unlisted, sizeof k->unlisted);
    if (!trial)
        return subscribe(k, error);
    rd_kafka_topic_partition_list_t *ends = look_at_ends(&k->client, found, true);
    rd_kafka_assign(k->client.kafka, ends);
    rd_kafka_topic_partition_list_destroy(ends);
    k->share.assigned = true;
    return PST_OK;
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    kafka *k = self;
    const rd_kafka_metadata_t *found = NULL;
    bool trial = credential_is_trial(k->host);
    on_close(k);
    k->trouble[0] = k->told[0] = '\0';
    k->opened_us = k->host->now_us(k->host);
    rd_kafka_conf_t *conf =
        trial ? look_settings(&k->client, call, error) : share_settings(&k->client, call, error);
    pst_status st = conf ? client_open(&k->client, RD_KAFKA_CONSUMER, conf, error) : PST_E_CONFIG;
    if (!st)
        st = client_wait(&k->client, call, trial, &found, error);
    if (!st)
        st = begin(k, trial, resume, found, error);
    if (found)
        rd_kafka_metadata_destroy(found);
    if (st)
        leave(k, false);
    return failed(k, st, error);
}

/* ---- reading ---- */

static void add_headers(kafka *k, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;
    char fact[200];
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        snprintf(fact, sizeof fact, "header.%s", name);
        if (value && strlen(name) < sizeof fact - 8)
            facts_add(k->facts, fact, value, len);
    }
}

static void describe(kafka *k, const rd_kafka_message_t *m)
{
    rd_kafka_timestamp_type_t kind;
    int64_t time_ms = rd_kafka_message_timestamp(m, &kind);
    facts_begin(k->facts, k->topic, strlen(k->topic));
    facts_add_number(k->facts, "partition", m->partition);
    facts_add_number(k->facts, "offset", m->offset);
    if (kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
        facts_add_number(k->facts, "timestamp", time_ms);
    if (m->key)
        facts_add(k->facts, "key", m->key, m->key_len);
    add_headers(k, m);
}

static void add_record(kafka *k, const rd_kafka_message_t *m)
{
    char where[300];
    if (k->aside) {
        snprintf(where, sizeof where, "%s [%d] at offset %lld", k->topic, m->partition, (long long)m->offset);
        pst_builder_reject(k->builder, m->payload, m->len < REJECT_BYTES ? m->len : REJECT_BYTES, where,
                           "passed over");
    } else if (m->payload) { /* without: a key that was deleted */
        describe(k, m);
        pst_builder_payload(k->builder, m->payload, m->len, k->facts->text);
    }
}

/* False: it is of another topic than the batch, and waits for the next one. */
static bool take(kafka *k, rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    if (k->events && strcmp(topic, k->topic) != 0) {
        k->stash = m;
        k->stash_generation = k->share.generation;
        return false;
    }
    snprintf(k->topic, sizeof k->topic, "%s", topic);
    k->share.busy = true;
    add_record(k, m);
    position_set(&k->position, topic, m->partition, m->offset + 1);
    k->events++;
    rd_kafka_message_destroy(m);
    return true;
}

/* What the library says instead of a record. */
static void note_event(kafka *k, const rd_kafka_message_t *m)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET && m->rkt)
        share_restart_part(&k->share, rd_kafka_topic_name(m->rkt), m->partition);
    else if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        snprintf(k->trouble, sizeof k->trouble, "%.230s", rd_kafka_message_errstr(m));
}

static rd_kafka_message_t *next(kafka *k, int wait_ms)
{
    rd_kafka_message_t *m = k->stash;
    k->stash = NULL;
    if (m && k->stash_generation != k->share.generation) {
        rd_kafka_message_destroy(m); /* it comes again, to us or to another member */
        m = NULL;
    }
    return m ? m : rd_kafka_consumer_poll(k->client.kafka, wait_ms);
}

/* Until enough is there, or the library has nothing more for us just now. */
static void gather(kafka *k, uint32_t max_rows)
{
    bool waited = false;
    while (k->events < max_rows && pst_builder_bytes(k->builder) < BATCH_BYTES && !k->share.revoked) {
        rd_kafka_message_t *m = next(k, waited || k->events ? 0 : WAIT_MS);
        waited = true;
        if (!m)
            return;
        if (m->err) {
            note_event(k, m);
            rd_kafka_message_destroy(m);
        } else if (!take(k, m)) {
            return;
        }
    }
}

static void tell_health(kafka *k, const pst_call *call)
{
    char text[PST_HEALTH_TEXT_MAX];
    const pst_health_service *health = k->host->get_service(k->host, PST_SERVICE_HEALTH);
    bool late = !k->share.assigned && k->host->now_us(k->host) - k->opened_us > SHARE_LATE_US;
    snprintf(text, sizeof text, "%s", k->trouble);
    if (late)
        snprintf(text, sizeof text, "waiting for the group %.100s to give us a share of the partitions",
                 share_group(&k->client));
    if (k->unlisted[0])
        snprintf(text, sizeof text, "brokers at %.150s are not listed in `brokers`, so they are not reached",
                 k->unlisted);
    if (health && strcmp(text, k->told) != 0)
        health->tell(k->host, call, text);
    snprintf(k->told, sizeof k->told, "%s", text);
}

static pst_status finish(kafka *k, pst_batch *out, pst_error *error)
{
    size_t len = position_cut(&k->position, k->cursor);
    if (!len)
        return pst_fail(error, PST_E_RESOURCE, "/topics",
                        "there are more partitions than a cursor has room for");
    k->retry_ms = 0;
    return pst_builder_finish(k->builder, k->topic, (pst_bytes){k->cursor, len}, PST_BATCH_RAW, out, error);
}

static pst_status read_some(kafka *k, const pst_call *call, uint32_t max_rows, pst_batch *out,
                            pst_error *error)
{
    if (!k->client.kafka)
        return pst_fail(error, PST_E_UNAVAILABLE, "/brokers", "there is no connection");
    pst_builder_clear(k->builder);
    k->events = 0;
    share_settle(&k->share);
    unsigned before = k->share.generation;
    gather(k, max_rows);
    if (k->share.generation != before)
        k->trouble[0] = '\0';
    if (!k->events)
        client_probe(&k->client);
    pst_status st = k->share.failed
                        ? pst_fail(error, PST_E_UNAVAILABLE, "/group",
                                   "the offsets of the group %.200s cannot be read", share_group(&k->client))
                        : client_state(&k->client, error);
    if (k->events)
        return finish(k, out, error); /* what failed fails again in the next read */
    if (st)
        return failed(k, st, error);
    tell_health(k, call);
    out->next_in_ms = IDLE_MS;
    return PST_IDLE;
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    return read_some(self, call, max_rows, out, error);
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    kafka *k = self;
    pst_status st = PST_IDLE;
    k->aside = true;
    while (st == PST_IDLE && !k->host->cancelled(k->host, call) &&
           k->host->now_us(k->host) < call->deadline_us - SKIP_LEFT_US)
        st = read_some(k, call, max, out, error);
    k->aside = false;
    return st == PST_IDLE
               ? pst_fail(error, PST_E_UNAVAILABLE, NULL, "the record to be passed over does not come")
               : st;
}

/* The group learns of it within a second; if it cannot, nothing is lost: the cursor counts. */
static pst_status on_ack(void *self, const pst_call *call, pst_bytes durable, pst_error *error)
{
    kafka *k = self;
    (void)call;
    rd_kafka_topic_partition_list_t *offsets = position_offsets(&k->position, durable);
    if (!offsets)
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (k->client.kafka)
        rd_kafka_offsets_store(k->client.kafka, offsets);
    rd_kafka_topic_partition_list_destroy(offsets);
    return PST_OK;
}

/* ---- the plugin ---- */

static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    kafka *k = self;
    on_close(k);
    return look_connection(&k->client, call, error);
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    kafka *k = self;
    on_close(k);
    return look_discover(&k->client, call, json_out, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_REPLAYS, on_open, on_read,
                                      on_ack,        on_close,           on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    if (!strcmp(id, PST_IF_SOURCE))
        return &source;
    return !strcmp(id, PST_IF_CHECK) ? (const void *)&check : !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}

PST_EXPORT const pst_plugin penstock_plugin_v1 = {
    .struct_size = sizeof(pst_plugin),
    .abi_minor = PST_ABI_MINOR,
    .id = "org.penstock.connector.kafka",
    .kind = PST_KIND_CONNECTOR,
    .version = "1.0.0",
    .title = "Kafka",
    .licence = "Apache-2.0",
    .config_schema = config_schema,
    .get_interface = on_get_interface,
    .create = on_create,
    .destroy = on_destroy,
};
