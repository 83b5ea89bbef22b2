/* Connections of connectors: a goodbye that the far side reads, however much it still has to say. */
#include "support/check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tcp.h"

enum { BYTES = 8 << 20 }; /* more than the kernel holds for a connection */

static int64_t now_us(const pst_host *host)
{
    struct timespec t;
    (void)host;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static bool cancelled(const pst_host *host, const pst_call *call)
{
    return now_us(host) >= call->deadline_us;
}

typedef struct far_side { /* as a busy broker: first it says everything, then it listens */
    int listener;
    bool said;
    char heard[16];
} far_side;

static void *talk(void *arg)
{
    far_side *f = arg;
    int fd = accept(f->listener, NULL, NULL);
    char *data = calloc(1, BYTES);
    ssize_t n = 0;
    for (size_t done = 0; done < BYTES && n >= 0; done += n > 0 ? (size_t)n : 0)
        n = send(fd, data + done, BYTES - done, MSG_NOSIGNAL);
    f->said = n >= 0;
    for (size_t len = 0; (n = recv(fd, f->heard + len, sizeof f->heard - 1 - len, 0)) > 0;)
        len += (size_t)n;
    free(data);
    close(fd);
    return NULL;
}

static void says_goodbye(bool finish, far_side *f)
{
    static const pst_host host = {.struct_size = sizeof host, .now_us = now_us, .cancelled = cancelled};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    tcp_place place = {.host = "127.0.0.1", .where = "/address"};
    pst_error error = {.struct_size = sizeof error};
    pst_call call = {.struct_size = sizeof call, .cancel_fd = -1, .deadline_us = now_us(&host) + 10000000};
    pthread_t thread;
    tcp w = {.fd = -1};
    *f = (far_side){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(f->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(f->listener, 1), 0);
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(place.port, sizeof place.port, "%u", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, talk, f), 0);
    assert_int_equal(tcp_open(&w, &host, &call, &place, &error), PST_OK);
    assert_int_equal(tcp_wait(&w, &call, 10000000, &error), PST_OK);
    assert_int_equal(tcp_send(&w, &call, "answers", 7, &error), PST_OK);
    if (finish)
        tcp_finish(&w, 10000000);
    tcp_close(&w);
    pthread_join(thread, NULL);
    close(f->listener);
}

static void test_what_was_sent_last_is_read(void **state)
{
    far_side f;
    (void)state;
    says_goodbye(true, &f);
    assert_true(f.said);
    assert_string_equal(f.heard, "answers");
    says_goodbye(false, &f); /* closed with bytes unread: its connection breaks while it still speaks */
    assert_false(f.said);
}

/* A far side that says nothing and does not close is waited for no longer than was asked. */
static void test_a_goodbye_ends(void **state)
{
    static const pst_host host = {.struct_size = sizeof host, .now_us = now_us, .cancelled = cancelled};
    int pair[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    tcp w = {.host = &host, .fd = pair[0]};
    int64_t began_us = now_us(&host);
    tcp_finish(&w, 50000);
    int64_t took_us = now_us(&host) - began_us;
    assert_true(took_us >= 50000 && took_us < 5000000);
    tcp_close(&w);
    tcp_finish(&w, 50000);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_sent_last_is_read),
        cmocka_unit_test(test_a_goodbye_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
