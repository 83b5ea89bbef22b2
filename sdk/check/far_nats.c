/* A server for one client at a time, core NATS without JetStream: answers each subscription by a row of
 * messages on a subject that fits. Its refusal is "Authorization Violation". */
#include <stdlib.h>
#include <string.h>

#include "check/far_talk.h"

enum { MESSAGES = 40 };

static void say(const far_peer *p, const char *line)
{
    far_say(p, line, strlen(line));
}

/* A subject of at most 64 bytes that the filter fits. */
static void subject_of(const char *filter, char out[80])
{
    size_t n = 0;
    for (; filter[n] && filter[n] != ' ' && n < 64; n++)
        out[n] = filter[n];
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(out[i] == '*' || out[i] == '>' ? 'x' : out[i]);
}

/* SUB subject [queue] sid */
static void answer_subscribe(const far_peer *p, const char *words)
{
    char subject[80], payload[40], head[200];
    const char *id = strrchr(words, ' ');
    subject_of(words, subject);
    for (unsigned i = 1; i <= MESSAGES && id; i++) {
        int len = snprintf(payload, sizeof payload, "{\"n\":%u}", i);
        snprintf(head, sizeof head, "MSG %s %s %d\r\n%s\r\n", subject, id + 1, len, payload);
        say(p, head);
    }
}

/* [H]PUB subject reply … bytes: JetStream's answer goes to the inbox that was subscribed to. */
static void answer_publish(const far_peer *p, const char *words, const char *inbox)
{
    static const char said[] = "{\"stream\":\"FAR\",\"seq\":1}";
    char reply[200], head[300];
    for (size_t left = strtoul(strrchr(words, ' '), NULL, 10) + 2; left && fgetc(p->in) != EOF; left--)
        ;
    if (sscanf(words, "%*s %*s %199s %*s %*s", reply) != 1 || !inbox[0])
        return;
    snprintf(head, sizeof head, "MSG %s %s %zu\r\n%s\r\n", reply, inbox, sizeof said - 1, said);
    say(p, head);
}

void far_talk_nats(far_peer *p)
{
    char line[65536], inbox[40] = "";
    say(p, "INFO "
           "{\"server_id\":\"far\",\"version\":\"2.9.0\",\"proto\":1,\"headers\":true,\"max_payload\":"
           "1048576}\r\n");
    while (fgets(line, sizeof line, p->in)) {
        line[strcspn(line, "\r\n")] = '\0';
        fprintf(p->told, "%.3s\n", line);
        fflush(p->told);
        if (!strncmp(line, "CONNECT", 7) && p->refuses) {
            say(p, "-ERR 'Authorization Violation'\r\n");
            return;
        }
        if (!strncmp(line, "PING", 4))
            say(p, "PONG\r\n");
        else if (!strncmp(line, "SUB _INBOX", 10))
            snprintf(inbox, sizeof inbox, "%s", strrchr(line, ' ') + 1);
        else if (!strncmp(line, "HPUB ", 5))
            answer_publish(p, line, inbox);
        else if (!strncmp(line, "SUB ", 4))
            answer_subscribe(p, line + 4);
    }
}
