/* A bucket with one object, rows.ndjson: its listing, and ranges of it. What is written is told. It does not
 * look at signatures; its refusal is that of an access key that nobody knows. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check/far_talk.h"

typedef struct range {
    size_t from, to; /* to: behind the last byte */
} range;

static void say_head(const far_peer *p, const char *status, const char *more, size_t len)
{
    char head[300];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status, more, len);
    far_say(p, head, (size_t)n);
}

static void say_listing(const far_peer *p, size_t bytes)
{
    char xml[500];
    int n = snprintf(xml, sizeof xml,
                     "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>rows.ndjson</Key>"
                     "<LastModified>2026-03-01T00:00:00.000Z</LastModified><ETag>&quot;1&quot;</ETag>"
                     "<Size>%zu</Size></Contents></ListBucketResult>",
                     bytes);
    say_head(p, "200 OK", "Date: Sun, 01 Mar 2026 12:00:00 GMT\r\n", (size_t)n);
    far_say(p, xml, (size_t)n);
}

static void say_object(const far_peer *p, range r, size_t bytes)
{
    char more[200];
    r.to = r.to < bytes ? r.to : bytes;
    r.from = r.from < r.to ? r.from : r.to;
    snprintf(more, sizeof more, "ETag: \"1\"\r\nContent-Range: bytes %zu-%zu/%zu\r\n", r.from, r.to - 1,
             bytes);
    say_head(p, "206 Partial Content", more, r.to - r.from);
    far_say(p, p->answer + r.from, r.to - r.from);
}

static void say_refusal(const far_peer *p)
{
    static const char xml[] = "<Error><Code>InvalidAccessKeyId</Code><Message>no</Message></Error>";
    say_head(p, "403 Forbidden", "", sizeof xml - 1);
    far_say(p, xml, sizeof xml - 1);
}

typedef enum far_task { TASK_LIST, TASK_READ, TASK_WRITE } far_task;

typedef struct asked {
    far_task task;
    range range;
    size_t body;
} asked;

static void take_line(const char *line, size_t bytes, asked *a)
{
    char *end;
    bool get = !strncmp(line, "GET ", 4);
    if (get || !strncmp(line, "PUT ", 4))
        *a = (asked){!get ? TASK_WRITE : strstr(line, "list-type=2") ? TASK_LIST : TASK_READ, {0, bytes}, 0};
    if (!strncasecmp(line, "content-length:", 15))
        a->body = strtoul(line + 15, NULL, 10);
    if (strncasecmp(line, "range: bytes=", 13) != 0)
        return;
    a->range.from = strtoull(line + 13, &end, 10);
    a->range.to = *end == '-' ? strtoull(end + 1, NULL, 10) + 1 : bytes;
}

static bool take_body(far_peer *p, size_t len)
{
    for (; len; len--) {
        int c = fgetc(p->in);
        if (c == EOF)
            return false;
        fputc(c, p->told);
    }
    fflush(p->told);
    return true;
}

void far_talk_s3(far_peer *p)
{
    char line[65536];
    size_t bytes = strlen(p->answer);
    asked a = {0};
    while (fgets(line, sizeof line, p->in)) {
        take_line(line, bytes, &a);
        if (strcmp(line, "\r\n") != 0)
            continue;
        if (!take_body(p, a.body))
            return;
        if (p->refuses)
            say_refusal(p);
        else if (a.task == TASK_LIST)
            say_listing(p, bytes);
        else if (a.task == TASK_READ)
            say_object(p, a.range, bytes);
        else
            say_head(p, "200 OK", "ETag: \"1\"\r\n", 0);
    }
}
