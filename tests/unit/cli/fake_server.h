/* A server of one thread with answers written beforehand, one connection and one request at a time. Each
 * answer is used once, the last one for a path again and again. What was asked is kept for the test to look
 * at. */
#ifndef PENSTOCK_TESTS_FAKE_SERVER_H
#define PENSTOCK_TESTS_FAKE_SERVER_H
#include <stddef.h>

#include "base/text.h"

#define FAKE_REQUESTS_MAX 64

typedef struct fake_answer {
    const char *method, *path; /* the path with its query; NULL method ends a list */
    int status;
    const char *headers; /* "Retry-After: 1\r\n" or "" */
    const char *body;
} fake_answer;

typedef struct fake_request {
    char method[16], path[1024];
    text head, body;
} fake_request;

typedef struct fake_server fake_server;
fake_server *fake_server_start(const fake_answer *answers);
const char *fake_server_url(const fake_server *s);
/* Stops answering; the requests may be read until fake_server_free. */
void fake_server_stop(fake_server *s);
size_t fake_server_count(const fake_server *s);
const fake_request *fake_server_request(const fake_server *s, size_t i);
void fake_server_free(fake_server *s);
#endif
