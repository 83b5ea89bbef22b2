/* The connector: a member of a consumer group whose records become raw payloads with topic, key, headers and
 * time beside them. The position is the host's: a cursor of offsets by partition, committed with the rows;
 * the group's offsets follow it after the ack, for other members and for tools that show how far we are
 * behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"
#include "penstock/define.h"
#include "reading.h"
#include "record.h"
#include "share.h"

enum { WAIT_MS = 20, IDLE_MS = 50, SHARE_LATE_US = 3000000, TOPIC_MAX = 250 };

typedef struct kafka {
    const pst_host *host;
    client client;
    share share;
    position position;
    reading reading;
    facts *facts;
    rd_kafka_message_t *stash; /* read ahead: of another topic than the batch before */
    unsigned stash_generation;
    char topic[TOPIC_MAX]; /* of the batch */
    int64_t opened_us;
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
    reading_end(&k->reading);
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
    pst_status st = reading_init(&k->reading, host, error);
    k->facts = malloc(sizeof *k->facts);
    if (!st && !k->facts)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (st)
        on_destroy(k);
    else
        *self = k;
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
    return reading_failed(&k->reading, st, error);
}

/* ---- reading ---- */

static void add_record(kafka *k, const rd_kafka_message_t *m)
{
    char where[300];
    snprintf(where, sizeof where, "%s [%d] at offset %lld", k->topic, m->partition, (long long)m->offset);
    if (!k->reading.aside && m->payload)
        record_describe(m, k->facts);
    reading_add(&k->reading, m->payload, m->len, k->facts->text, where); /* without: a key that was deleted */
}

/* False: it is of another topic than the batch, and waits for the next one. */
static bool take(kafka *k, rd_kafka_message_t *m)
{
    const char *topic = rd_kafka_topic_name(m->rkt);
    if (k->reading.events && strcmp(topic, k->topic) != 0) {
        k->stash = m;
        k->stash_generation = k->share.generation;
        return false;
    }
    snprintf(k->topic, sizeof k->topic, "%s", topic);
    k->share.busy = true;
    add_record(k, m);
    position_set(&k->position, topic, m->partition, m->offset + 1);
    k->reading.events++;
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
    while (reading_has_room(&k->reading, max_rows) && !k->share.revoked) {
        rd_kafka_message_t *m = next(k, waited || k->reading.events ? 0 : WAIT_MS);
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
    return reading_finish(&k->reading, k->topic, (pst_bytes){k->cursor, len}, PST_BATCH_RAW, out, error);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    kafka *k = self;
    if (!k->client.kafka)
        return pst_fail(error, PST_E_UNAVAILABLE, "/brokers", "there is no connection");
    reading_begin(&k->reading);
    share_settle(&k->share);
    unsigned before = k->share.generation;
    gather(k, max_rows);
    if (k->share.generation != before)
        k->trouble[0] = '\0';
    if (!k->share.assigned)
        client_doubt(&k->client);
    if (!k->reading.events)
        client_probe(&k->client);
    pst_status st = k->share.failed
                        ? pst_fail(error, PST_E_UNAVAILABLE, "/group",
                                   "the offsets of the group %.200s cannot be read", share_group(&k->client))
                        : client_state(&k->client, error);
    if (k->reading.events)
        return finish(k, out, error); /* what failed fails again in the next read */
    if (st)
        return reading_failed(&k->reading, st, error);
    tell_health(k, call);
    out->next_in_ms = IDLE_MS;
    return PST_IDLE;
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    return reading_skip(&((kafka *)self)->reading, on_read, self, call, max, out, error);
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
    return reading_interface(id, &source, &check, &discover);
}

PST_PLUGIN(.id = "org.penstock.connector.kafka", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Kafka", .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create,
           .destroy = on_destroy);
