/* Partitions are assigned by hand, from a few records before their ends: no group notices. */
#include "look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listing.h"
#include "record.h"

enum { TAIL = 10, PARTITIONS_MAX = 200 };

rd_kafka_conf_t *look_settings(client *c, const pst_call *call, pst_error *error)
{
    char group[CREDENTIAL_NAME_MAX + 8];
    rd_kafka_conf_t *conf = client_settings(c, call, error);
    if (!conf)
        return NULL;
    snprintf(group, sizeof group, "%s-look", c->own_name);
    pst_status st = client_set(conf, "group.id", group, error);
    if (!st)
        st = client_set(conf, "enable.auto.commit", "false", error);
    if (!st)
        st = client_set(conf, "auto.offset.reset", "earliest", error);
    if (!st)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

static bool is_configured(const client *c, const char *topic)
{
    char path[32];
    for (size_t i = 0; i < c->host->config_count(c->host, "/topics"); i++) {
        snprintf(path, sizeof path, "/topics/%zu", i);
        if (!strcmp(c->host->config_text(c->host, path), topic))
            return true;
    }
    return false;
}

rd_kafka_topic_partition_list_t *look_at_ends(const client *c, const rd_kafka_metadata_t *found,
                                              bool configured)
{
    rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < found->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *t = &found->topics[i];
        bool wanted = configured ? is_configured(c, t->topic) : strncmp(t->topic, "__", 2) != 0;
        for (int p = 0; wanted && p < t->partition_cnt && out->cnt < PARTITIONS_MAX; p++)
            rd_kafka_topic_partition_list_add(out, t->topic, t->partitions[p].id)->offset =
                RD_KAFKA_OFFSET_TAIL(TAIL);
    }
    return out;
}

static pst_status begin(client *c, const pst_call *call, const rd_kafka_metadata_t **found, pst_error *error)
{
    rd_kafka_conf_t *conf = look_settings(c, call, error);
    pst_status st = conf ? client_open(c, RD_KAFKA_CONSUMER, conf, error) : PST_E_CONFIG;
    return st ? st : client_wait(c, call, true, found, error);
}

static const rd_kafka_metadata_topic_t *topic_of(const rd_kafka_metadata_t *found, const char *name)
{
    for (int i = 0; i < found->topic_cnt; i++)
        if (!strcmp(found->topics[i].topic, name))
            return &found->topics[i];
    return NULL;
}

static pst_status judge(const client *c, const rd_kafka_metadata_t *found, pst_error *error)
{
    char unlisted[300], path[32];
    client_unlisted(c, found, unlisted, sizeof unlisted);
    if (unlisted[0])
        return pst_fail(error, PST_E_CONFIG, "/brokers",
                        "the cluster says that brokers are at %s too: list them, nothing else is reached",
                        unlisted);
    for (size_t i = 0; i < c->host->config_count(c->host, "/topics"); i++) {
        snprintf(path, sizeof path, "/topics/%zu", i);
        const char *name = c->host->config_text(c->host, path);
        const rd_kafka_metadata_topic_t *t = topic_of(found, name);
        if (!t || t->err)
            return pst_fail(error, t && client_class(t->err) == PST_E_AUTH ? PST_E_AUTH : PST_E_CONFIG, path,
                            "the topic %.200s cannot be read: %s", name,
                            rd_kafka_err2str(t ? t->err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART));
    }
    return PST_OK;
}

pst_status look_connection(client *c, const pst_call *call, pst_error *error)
{
    const rd_kafka_metadata_t *found = NULL;
    pst_status st = begin(c, call, &found, error);
    if (!st)
        st = judge(c, found, error);
    if (found)
        rd_kafka_metadata_destroy(found);
    client_close(c, false);
    return st;
}

/* ---- discover ---- */

static void list_topics(const rd_kafka_metadata_t *found, listing *l)
{
    char title[120];
    for (int i = 0; i < found->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *t = &found->topics[i];
        snprintf(title, sizeof title, "a topic of %d partition%s", t->partition_cnt,
                 t->partition_cnt == 1 ? "" : "s");
        if (strncmp(t->topic, "__", 2) != 0)
            listing_stream(l, t->topic, title);
    }
}

static void show(listing *l, facts *beside, const rd_kafka_message_t *m)
{
    record_describe(m, beside);
    listing_example(l, listing_stream(l, rd_kafka_topic_name(m->rkt), ""), m->payload, m->len, beside->text);
}

/* Until discover_s have passed, or there is enough of everything. */
static pst_status sample(client *c, const pst_call *call, listing *l, facts *beside, pst_error *error)
{
    int64_t end = c->host->now_us(c->host) + c->host->config_int(c->host, "/discover_s") * 1000000;
    while (c->host->now_us(c->host) < end && !listing_full(l)) {
        pst_status st = client_state(c, error);
        if (!st && c->host->cancelled(c->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "the call was cancelled");
        if (st)
            return st;
        rd_kafka_message_t *m = rd_kafka_consumer_poll(c->kafka, CLIENT_STEP_MS);
        if (m && !m->err && m->payload)
            show(l, beside, m);
        if (m)
            rd_kafka_message_destroy(m);
    }
    return PST_OK;
}

static pst_status look_around(client *c, const pst_call *call, const rd_kafka_metadata_t *found,
                              pst_blob *json_out, pst_error *error)
{
    listing *l = listing_create(c->host);
    facts *beside = malloc(sizeof *beside);
    rd_kafka_topic_partition_list_t *ends = look_at_ends(c, found, false);
    pst_status st = l && beside ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st) {
        list_topics(found, l);
        rd_kafka_assign(c->kafka, ends);
        st = sample(c, call, l, beside, error);
    }
    if (!st)
        st = listing_finish(l, json_out, error);
    rd_kafka_topic_partition_list_destroy(ends);
    listing_free(l);
    free(beside);
    return st;
}

pst_status look_discover(client *c, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    const rd_kafka_metadata_t *found = NULL;
    pst_status st = begin(c, call, &found, error);
    if (!st)
        st = look_around(c, call, found, json_out, error);
    if (found)
        rd_kafka_metadata_destroy(found);
    client_close(c, false);
    return st;
}
