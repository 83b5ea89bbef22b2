#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECT_MAX = 4096 };

/* With slashes for dots, so that $topic[1] is a token. */
static size_t topic_of(const natsMsg *m, char out[SUBJECT_MAX])
{
    const char *subject = natsMsg_GetSubject(m);
    size_t n = 0;
    for (; subject && subject[n] && n < SUBJECT_MAX; n++)
        out[n] = (char)(subject[n] == '.' ? '/' : subject[n]);
    return n;
}

static void add_headers(natsMsg *m, facts *out)
{
    const char **names = NULL, *value;
    int count = 0;
    char fact[200];
    if (natsMsgHeader_Keys(m, &names, &count) != NATS_OK)
        return;
    for (int i = 0; i < count; i++) {
        snprintf(fact, sizeof fact, "header.%s", names[i]);
        if (strlen(names[i]) < sizeof fact - 8 && natsMsgHeader_Get(m, names[i], &value) == NATS_OK)
            facts_add(out, fact, value, strlen(value));
    }
    free(names);
}

void message_describe(natsMsg *m, uint64_t number, int64_t time_ns, facts *out)
{
    char topic[SUBJECT_MAX];
    facts_begin(out, topic, topic_of(m, topic));
    if (number) {
        facts_add_number(out, "sequence", (int64_t)number);
        facts_add_number(out, "timestamp", time_ns / 1000000);
    }
    add_headers(m, out);
}
