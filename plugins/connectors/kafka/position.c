/* The cursor: "kafka1", the cluster's name, the group, then "topic partition offset", each a line. Names of
 * topics hold no blanks. */
#include "position.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "kafka1";

void position_free(position *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->parts[i].topic);
    free(p->parts);
    p->parts = NULL;
    p->n = p->cap = 0;
}

static position_part *find(const position *p, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->parts[i].partition == partition && !strcmp(p->parts[i].topic, topic))
            return &p->parts[i];
    return NULL;
}

int64_t position_next(const position *p, const char *topic, int32_t partition)
{
    const position_part *part = find(p, topic, partition);
    return part ? part->next : -1;
}

static bool grow(position *p)
{
    size_t cap = p->cap ? p->cap * 2 : 16;
    position_part *more = p->n < p->cap ? p->parts : realloc(p->parts, cap * sizeof *more);
    if (!more)
        return false;
    p->cap = p->n < p->cap ? p->cap : cap;
    p->parts = more;
    return true;
}

bool position_set(position *p, const char *topic, int32_t partition, int64_t next)
{
    position_part *part = find(p, topic, partition);
    if (!part) {
        char *name = grow(p) ? strdup(topic) : NULL;
        if (!name)
            return false;
        part = &p->parts[p->n++];
        *part = (position_part){name, partition, next};
    }
    part->next = next;
    return true;
}

/* ---- The cursor ---- */

/* The lines behind the head and the place; NULL: none of ours. *same: it is of this cluster and group. */
static char *lines_of(const position *p, pst_bytes cursor, char **copy_out, bool *same)
{
    char *copy = strndup(cursor.len ? cursor.data : "", cursor.len);
    size_t place = strlen(p->place);
    *copy_out = copy;
    if (!copy || strlen(copy) != cursor.len || strncmp(copy, head, sizeof head - 1) != 0 ||
        copy[sizeof head - 1] != '\n')
        return NULL;
    char *at = copy + sizeof head;
    *same = !strncmp(at, p->place, place);
    for (int line = 0; line < 2; line++) {
        at += strcspn(at, "\n");
        if (!*at++)
            return NULL;
    }
    return at;
}

/* A blank, digits, and the byte behind them. */
static bool take_number(char **at, char behind, int64_t max, int64_t *out)
{
    char *end;
    if (**at != ' ' || (*at)[1] < '0' || (*at)[1] > '9')
        return false;
    errno = 0;
    *out = strtoll(*at + 1, &end, 10);
    *at = end + 1;
    return !errno && *end == behind && *out <= max;
}

/* One line; the topic lies in the copy. */
static bool take_line(char **at, char **topic, int32_t *partition, int64_t *next)
{
    char *line = *at, *blank = line + strcspn(line, " \n");
    int64_t number = 0;
    *at = blank;
    if (blank == line || !take_number(at, ' ', INT32_MAX, &number))
        return false;
    --*at; /* the blank is the next number's */
    if (!take_number(at, '\n', INT64_MAX, next))
        return false;
    *partition = (int32_t)number;
    *blank = '\0';
    *topic = line;
    return true;
}

/* A line; what a cluster calls itself comes from outside. */
static char *add_name(char *out, const char *name)
{
    for (size_t i = 0; i < POSITION_NAME_MAX && name[i]; i++)
        *out++ = (char)(name[i] == '\n' ? ' ' : name[i]);
    *out++ = '\n';
    *out = '\0';
    return out;
}

bool position_open(position *p, const char *cluster, const char *group, pst_bytes cursor)
{
    char *copy, *topic;
    int32_t partition;
    int64_t next;
    bool same = false, good = true;
    position_free(p);
    add_name(add_name(p->place, cluster), group);
    if (!cursor.len)
        return true;
    char *at = lines_of(p, cursor, &copy, &same);
    good = at != NULL;
    while (good && same && *at)
        good = take_line(&at, &topic, &partition, &next) && position_set(p, topic, partition, next);
    free(copy);
    return good;
}

size_t position_cut(const position *p, char cursor[POSITION_CURSOR_MAX])
{
    size_t len = (size_t)snprintf(cursor, POSITION_CURSOR_MAX, "%s\n%s", head, p->place);
    for (size_t i = 0; i < p->n; i++) {
        len += (size_t)snprintf(cursor + len, POSITION_CURSOR_MAX - len, "%s %" PRId32 " %" PRId64 "\n",
                                p->parts[i].topic, p->parts[i].partition, p->parts[i].next);
        if (len >= POSITION_CURSOR_MAX)
            return 0;
    }
    return len;
}

rd_kafka_topic_partition_list_t *position_offsets(const position *p, pst_bytes cursor)
{
    char *copy, *topic;
    int32_t partition;
    int64_t next;
    bool same = false, good = true;
    char *at = lines_of(p, cursor, &copy, &same);
    rd_kafka_topic_partition_list_t *out = at ? rd_kafka_topic_partition_list_new(16) : NULL;
    while (out && same && good && *at) {
        good = take_line(&at, &topic, &partition, &next);
        if (good)
            rd_kafka_topic_partition_list_add(out, topic, partition)->offset = next;
    }
    if (out && !good) {
        rd_kafka_topic_partition_list_destroy(out);
        out = NULL;
    }
    free(copy);
    return out;
}
