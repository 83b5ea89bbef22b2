/* A partition begins at the later one of our cursor and the group's offset: the group's can be ahead when
 * another member had the partition meanwhile. */
#include "share.h"

#include <stdio.h>
#include <string.h>

enum { COMMITTED_MS = 3000 };

/* ---- What it is given ---- */

static void keep(share *s, const rd_kafka_topic_partition_list_t *parts)
{
    if (s->parts)
        rd_kafka_topic_partition_list_destroy(s->parts);
    s->parts = parts ? rd_kafka_topic_partition_list_copy(parts) : NULL;
}

static void place(const share *s, rd_kafka_topic_partition_t *part)
{
    int64_t ours = position_next(s->position, part->topic, part->partition);
    if (ours > part->offset)
        part->offset = ours;
    if (part->offset < 0)
        part->offset = s->from_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    else
        position_set(s->position, part->topic, part->partition, part->offset);
}

static void take(share *s, rd_kafka_t *kafka, rd_kafka_topic_partition_list_t *parts)
{
    s->failed = parts->cnt && rd_kafka_committed(kafka, parts, COMMITTED_MS) != RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < parts->cnt && !s->failed; i++)
        place(s, &parts->elems[i]);
    keep(s, s->failed ? NULL : parts);
    rd_kafka_assign(kafka, s->parts);
    s->assigned = true;
    s->revoked = false;
    s->generation++;
}

static void tell_uncommitted(const share *s, rd_kafka_resp_err_t err)
{
    char line[300];
    snprintf(line, sizeof line,
             "the group does not take our offsets before it gives our partitions to another member (%s): who "
             "gets them may "
             "store some records again",
             rd_kafka_err2str(err));
    s->client->host->log(s->client->host, PST_LOG_WARN, line, NULL, 0);
}

static void give_up(share *s, rd_kafka_t *kafka)
{
    rd_kafka_resp_err_t err = s->parts ? rd_kafka_commit(kafka, NULL, false) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (err && err != RD_KAFKA_RESP_ERR__NO_OFFSET)
        tell_uncommitted(s, err);
    keep(s, NULL);
    rd_kafka_assign(kafka, NULL);
    s->assigned = s->revoked = false;
    s->generation++;
}

static void on_rebalance(rd_kafka_t *kafka, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *parts,
                         void *opaque)
{
    share *s = ((client *)opaque)->share;
    if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take(s, kafka, parts);
        return;
    }
    s->revoked = true;
    if (!s->busy || s->ending || rd_kafka_assignment_lost(kafka))
        give_up(s, kafka);
}

void share_settle(share *s)
{
    s->busy = false;
    if (s->revoked)
        give_up(s, s->client->kafka);
}

void share_restart_part(share *s, const char *topic, int32_t partition)
{
    char line[400];
    snprintf(line, sizeof line,
             "the records of %.200s [%d] from offset %lld on are gone at the broker; it goes on with the "
             "oldest that "
             "are there",
             topic, partition, (long long)position_next(s->position, topic, partition));
    s->client->host->log(s->client->host, PST_LOG_WARN, line, NULL, 0);
    for (int i = 0; s->parts && i < s->parts->cnt; i++) {
        rd_kafka_topic_partition_t *part = &s->parts->elems[i];
        int64_t next = position_next(s->position, part->topic, part->partition);
        bool it = part->partition == partition && !strcmp(part->topic, topic);
        part->offset = next >= 0 ? next : s->from_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
        part->offset = it ? RD_KAFKA_OFFSET_BEGINNING : part->offset;
    }
    s->generation++;
    if (s->parts)
        rd_kafka_assign(s->client->kafka, s->parts);
}

void share_end(share *s)
{
    keep(s, NULL);
    s->assigned = s->revoked = s->failed = s->busy = s->ending = false;
}

/* ---- A member ---- */

const char *share_group(const client *c)
{
    const char *group = c->host->config_text(c->host, "/group");
    return group ? group : c->own_name;
}

static pst_status set_member(const client *c, rd_kafka_conf_t *conf, pst_error *error)
{
    char session[16], beat[16], bytes[24];
    int64_t session_ms = c->host->config_int(c->host, "/session_s") * 1000;
    snprintf(session, sizeof session, "%lld", (long long)session_ms);
    snprintf(beat, sizeof beat, "%lld", (long long)(session_ms / 4 < 3000 ? session_ms / 4 : 3000));
    snprintf(bytes, sizeof bytes, "%lld", (long long)c->host->config_int(c->host, "/max_message_bytes"));
    const char *const all[][2] = {
        {"group.id", share_group(c)},
        {"group.instance.id", c->own_name}, /* a restart takes its old place, nobody else moves */
        {"session.timeout.ms", session},
        {"heartbeat.interval.ms", beat},
        {"enable.auto.offset.store", "false"}, /* stored after the ack, committed each second */
        {"auto.commit.interval.ms", "1000"},
        {"auto.offset.reset", "error"}, /* share_restart_part */
        {"isolation.level", "read_committed"},
        {"fetch.wait.max.ms", "250"},
        {"fetch.message.max.bytes", bytes},
        {"fetch.max.bytes", "16777216"},
        {"queued.max.messages.kbytes", "16384"},
        {"partition.assignment.strategy", "range,roundrobin"}};
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < sizeof all / sizeof all[0]; i++)
        st = client_set(conf, all[i][0], all[i][1], error);
    return st;
}

rd_kafka_conf_t *share_settings(client *c, const pst_call *call, pst_error *error)
{
    rd_kafka_conf_t *conf = client_settings(c, call, error);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    if (set_member(c, conf, error) == PST_OK)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}
