/* What a subscriber on a client library can do at best when it may acknowledge nothing that is not durable:
 * Paho acknowledges each message of QoS 1 when its callback returns, so each waits for a write and a sync of
 * its own.
 *
 *   one_by_one PORT TOPIC CLIENT COUNT FILE    prints the seconds from the first message to the last */
#include <MQTTClient.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int file;
static volatile int seen;
static double first_s, last_s;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int on_message(void *context, char *topic, int topic_len, MQTTClient_message *m)
{
    (void)context;
    (void)topic_len;
    if (!seen)
        first_s = now_s();
    if (write(file, m->payload, (size_t)m->payloadlen) != m->payloadlen || fdatasync(file))
        exit(1);
    MQTTClient_freeMessage(&m);
    MQTTClient_free(topic);
    last_s = now_s();
    seen = seen + 1;
    return 1;
}

int main(int argc, char **argv)
{
    char url[64];
    MQTTClient client;
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    if (argc != 6)
        return 2;
    snprintf(url, sizeof url, "tcp://127.0.0.1:%s", argv[1]);
    file = open(argv[5], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    options.cleansession = 0;
    if (file < 0 || MQTTClient_create(&client, url, argv[3], MQTTCLIENT_PERSISTENCE_NONE, NULL) ||
        MQTTClient_setCallbacks(client, NULL, NULL, on_message, NULL) ||
        MQTTClient_connect(client, &options) || MQTTClient_subscribe(client, argv[2], 1))
        return 1;
    printf("ready\n");
    fflush(stdout);
    while (seen < atoi(argv[4]))
        usleep(1000);
    printf("%.6f\n", last_s - first_s);
    MQTTClient_disconnect(client, 1000);
    MQTTClient_destroy(&client);
    return 0;
}
