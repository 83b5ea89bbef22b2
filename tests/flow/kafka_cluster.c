/* What the tests of Kafka talk to and with: librdkafka's mock cluster on the loopback, and a client of it (or
 * of the real brokers that are named).
 *
 *   kafka_cluster mock BROKERS | client BOOTSTRAP     prints {"brokers": "…"}, then answers each line of JSON
 * by one:
 *     {"do": "create", "topic", "partitions"}
 *     {"do": "send", "topic", "messages": [{"partition", "key", "value" or "hex", "headers": {}}]}   all
 * durable when answered
 *     {"do": "committed", "group", "topic", "partitions"}   {"offsets": [-1 where there is none]}
 *     {"do": "read", "topic", "partitions"}                 {"messages": [{partition, offset, key, value,
 * headers}]}
 *     {"do": "down" | "up", "broker"}                       of the mock; -1: all
 *   kafka_cluster answers | refuses | silent          for penstock-check: prints "port N", a topic `readings`
 * in it */
#include <arpa/inet.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WAIT_MS = 20000, SAMPLES = 40 };

static rd_kafka_t *owner, *producer;
static rd_kafka_mock_cluster_t *cluster; /* NULL = real brokers */
static const char *brokers;

static void die(const char *what)
{
    fprintf(stderr, "kafka_cluster: %s\n", what);
    exit(1);
}

static rd_kafka_conf_t *settings(void)
{
    char why[300];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (brokers && rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why))
        die(why);
    rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
    return conf;
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[300];
    rd_kafka_t *kafka = rd_kafka_new(type, conf, why, sizeof why);
    if (!kafka)
        die(why);
    return kafka;
}

static void start_mock(int count)
{
    owner = make(RD_KAFKA_PRODUCER, settings());
    cluster = rd_kafka_mock_cluster_new(owner, count);
    if (!cluster)
        die("no mock cluster");
    brokers = rd_kafka_mock_cluster_bootstraps(cluster);
}

static size_t bytes_of(const json_t *m, char **out)
{
    const char *hex = json_string_value(json_object_get(m, "hex"));
    const char *text = json_string_value(json_object_get(m, "value"));
    size_t len = hex ? strlen(hex) / 2 : text ? strlen(text) : 0;
    *out = hex || text ? calloc(1, len + 1) : NULL;
    for (size_t i = 0; hex && i < len; i++)
        sscanf(hex + 2 * i, "%2hhx", (unsigned char *)&(*out)[i]);
    if (text)
        memcpy(*out, text, len);
    return len;
}

static void send_one(const char *topic, const json_t *m)
{
    json_int_t time_ms = json_integer_value(json_object_get(m, "timestamp")); /* 0 = now */
    char *value;
    const char *name, *key = json_string_value(json_object_get(m, "key"));
    json_t *one, *partition = json_object_get(m, "partition");
    size_t len = bytes_of(m, &value);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    json_object_foreach(json_object_get(m, "headers"), name, one)
        rd_kafka_header_add(headers, name, -1, json_string_value(one), -1);
    rd_kafka_resp_err_t err =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic),
                          RD_KAFKA_V_PARTITION(partition ? (int32_t)json_integer_value(partition) : -1),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_BLOCK),
                          RD_KAFKA_V_VALUE(value, len), RD_KAFKA_V_KEY(key, key ? strlen(key) : 0),
                          RD_KAFKA_V_TIMESTAMP(time_ms), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    free(value);
    if (err)
        die(rd_kafka_err2str(err));
}

static json_t *do_send(const json_t *ask)
{
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(ask, "messages"), i, m)
        send_one(json_string_value(json_object_get(ask, "topic")), m);
    if (rd_kafka_flush(producer, WAIT_MS))
        die("what was sent is not taken");
    return json_object();
}

static json_t *do_create(const json_t *ask)
{
    const char *topic = json_string_value(json_object_get(ask, "topic"));
    int partitions = (int)json_integer_value(json_object_get(ask, "partitions"));
    char why[300];
    if (cluster) {
        rd_kafka_mock_topic_create(cluster, topic, partitions, 1);
        return json_object();
    }
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(topic, partitions, 1, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(producer);
    rd_kafka_CreateTopics(producer, &t, 1, NULL, queue);
    rd_kafka_event_t *e = rd_kafka_queue_poll(queue, WAIT_MS);
    if (!e || rd_kafka_event_error(e))
        die("the topic was not made");
    rd_kafka_event_destroy(e);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(t);
    return json_object();
}

static rd_kafka_topic_partition_list_t *parts_of(const json_t *ask, int64_t offset)
{
    int n = (int)json_integer_value(json_object_get(ask, "partitions"));
    rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(out, json_string_value(json_object_get(ask, "topic")), i)->offset =
            offset;
    return out;
}

static rd_kafka_t *consumer(const char *group)
{
    char why[300];
    rd_kafka_conf_t *conf = settings();
    rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof why);
    return make(RD_KAFKA_CONSUMER, conf);
}

static json_t *do_committed(const json_t *ask)
{
    rd_kafka_t *kafka = consumer(json_string_value(json_object_get(ask, "group")));
    rd_kafka_topic_partition_list_t *parts = parts_of(ask, RD_KAFKA_OFFSET_INVALID);
    json_t *offsets = json_array();
    if (rd_kafka_committed(kafka, parts, WAIT_MS))
        die("no committed offsets");
    for (int i = 0; i < parts->cnt; i++)
        json_array_append_new(offsets,
                              json_integer(parts->elems[i].offset < 0 ? -1 : parts->elems[i].offset));
    rd_kafka_topic_partition_list_destroy(parts);
    rd_kafka_destroy(kafka);
    return json_pack("{s:o}", "offsets", offsets);
}

static json_t *described(const rd_kafka_message_t *m)
{
    json_t *headers = json_object();
    rd_kafka_headers_t *list;
    const char *name;
    const void *value;
    size_t len;
    if (!rd_kafka_message_headers(m, &list))
        for (size_t i = 0; !rd_kafka_header_get_all(list, i, &name, &value, &len); i++)
            json_object_set_new(headers, name, json_stringn(value, len));
    return json_pack("{s:i,s:I,s:o,s:o,s:o}", "partition", m->partition, "offset", (json_int_t)m->offset,
                     "key", m->key ? json_stringn(m->key, m->key_len) : json_null(), "value",
                     m->payload ? json_stringn(m->payload, m->len) : json_null(), "headers", headers);
}

static json_t *do_read(const json_t *ask)
{
    rd_kafka_t *kafka = consumer("reader");
    rd_kafka_topic_partition_list_t *parts = parts_of(ask, RD_KAFKA_OFFSET_BEGINNING);
    json_t *all = json_array();
    rd_kafka_assign(kafka, parts);
    for (int ends = 0; ends < parts->cnt;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(kafka, WAIT_MS);
        if (!m)
            die("the topic has no end");
        if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            ends++;
        else if (!m->err)
            json_array_append_new(all, described(m));
        rd_kafka_message_destroy(m);
    }
    rd_kafka_topic_partition_list_destroy(parts);
    rd_kafka_destroy(kafka);
    return json_pack("{s:o}", "messages", all);
}

static json_t *do_up(const json_t *ask)
{
    rd_kafka_mock_broker_set_up(cluster, (int32_t)json_integer_value(json_object_get(ask, "broker")));
    return json_object();
}

static json_t *do_down(const json_t *ask)
{
    rd_kafka_mock_broker_set_down(cluster, (int32_t)json_integer_value(json_object_get(ask, "broker")));
    return json_object();
}

static const struct {
    const char *name;
    json_t *(*run)(const json_t *ask);
} commands[] = {{"send", do_send}, {"create", do_create}, {"committed", do_committed},
                {"read", do_read}, {"up", do_up},         {"down", do_down}};

static json_t *answer(const json_t *ask)
{
    const char *name = json_string_value(json_object_get(ask, "do"));
    for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(commands[i].name, name))
            return commands[i].run(ask);
    die("an unknown command");
    return NULL;
}

static void serve(void)
{
    char *line = NULL;
    size_t cap = 0;
    printf("{\"brokers\": \"%s\"}\n", brokers);
    fflush(stdout);
    while (getline(&line, &cap, stdin) > 0) {
        json_t *ask = json_loads(line, 0, NULL), *said = answer(ask);
        json_dumpf(said, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(ask);
        json_decref(said);
    }
    free(line);
}

/* ---- for penstock-check ---- */

static void wait_for_end(void)
{
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static void be_silent(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&at, &len))
        die("no socket");
    printf("port %d\n", ntohs(at.sin_port));
    wait_for_end();
    close(fd);
}

/* Begins with a few records, then one every few milliseconds until the input ends. */
static void be_far_side(bool refuses)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    start_mock(1);
    producer = make(RD_KAFKA_PRODUCER, settings());
    rd_kafka_mock_topic_create(cluster, "readings", 1, 1);
    if (refuses)
        rd_kafka_mock_broker_set_down(cluster, -1);
    printf("port %s\n", strchr(brokers, ':') + 1);
    fflush(stdout);
    for (int i = 0; poll(&input, 1, i < SAMPLES ? 0 : 20) == 0; i++) {
        json_t *m =
            json_pack("{s:o,s:I}", "value", json_sprintf("{\"n\":%d}", i), "timestamp", 1774720800000 + i);
        if (!refuses)
            send_one("readings", m);
        json_decref(m);
        rd_kafka_poll(producer, 0);
    }
}

int main(int n_words, char **words)
{
    const char *mode = n_words > 1 ? words[1] : "";
    prctl(PR_SET_PDEATHSIG, 9);
    if (!strcmp(mode, "silent")) {
        be_silent();
        return 0;
    }
    if (!strcmp(mode, "answers") || !strcmp(mode, "refuses")) {
        be_far_side(*mode == 'r');
    } else if (n_words == 3 && !strcmp(mode, "mock")) {
        start_mock(atoi(words[2]));
    } else if (n_words == 3 && !strcmp(mode, "client")) {
        brokers = words[2];
    } else {
        die("mock BROKERS, client BOOTSTRAP, answers, refuses or silent");
    }
    if (*mode == 'm' || *mode == 'c') {
        producer = make(RD_KAFKA_PRODUCER, settings());
        serve();
    }
    rd_kafka_destroy(producer);
    if (cluster)
        rd_kafka_mock_cluster_destroy(cluster);
    if (owner)
        rd_kafka_destroy(owner);
    return 0;
}
