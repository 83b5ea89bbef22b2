/* A receiver on loopback for tests: HTTP requests or mails, kept as text. One thread, one connection at a
 * time. */
#ifndef PENSTOCK_TESTS_SINK_H
#define PENSTOCK_TESTS_SINK_H
#include <stdbool.h>

typedef enum sink_kind { SINK_HTTP, SINK_SMTP } sink_kind;
typedef struct sink sink;

sink *sink_create(sink_kind kind);
void sink_free(sink *s); /* NULL is fine */
int sink_port(const sink *s);

/* HTTP: what follows "HTTP/1.1 ", e.g. "503 Away\r\nRetry-After: 7" (default "200 OK"). */
void sink_answer(sink *s, const char *answer);
/* SMTP: a command line that begins with `command` is answered with `answer` ("550 no"); NULL ends it. */
void sink_refuse(sink *s, const char *command, const char *answer);
/* From now on nothing is answered at all. */
void sink_hang(sink *s);

unsigned sink_count(sink *s); /* whole requests or mails so far */
/* The text of the index-th: an HTTP request with its head, or a mail: MAIL and RCPT lines, an empty line, the
 * data. Waits up to `timeout_ms`; NULL if there is none. Lives until sink_free. */
const char *sink_wait(sink *s, unsigned index, int timeout_ms);
#endif
