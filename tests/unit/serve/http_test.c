/* The HTTP server over real sockets with hooks of the test's own: /now answers on the loop, /later from
 * another thread, /never when the test says so, /pull and /push stream, POST echoes the length of its body.
 */
#include "support/check.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/disk.h"
#include "loop/lane.h"
#include "raw_client.h"
#include "serve/http.h"

enum { KEPT_MAX = 4 };

typedef struct fixture {
    loop *loop;
    lane_pool *pool;
    lane *lane;
    http_server *server;
    http_limits limits;
    bool refuse_chunked;
    uint16_t port;
    pthread_t thread, loop_thread;
    atomic_uint runs, done, refused, ended;
    atomic_int last_status;
    _Atomic(http_request *) held;
    atomic_bool hold_head;
    http_request *kept[KEPT_MAX]; /* of /big-kept, answered by the test */
    atomic_uint n_kept;
} fixture;

static fixture f;

static void answer_length(void *arg)
{
    http_request *r = arg;
    text body = {0};
    unsigned char sum = 0;
    for (size_t i = 0; i < r->body_len; i++)
        sum ^= (unsigned char)r->body[i];
    text_printf(&body, "%s %zu %u", r->path, r->body_len, sum);
    http_answer(r, 200, "text/plain", &body);
}

typedef struct counter {
    int left;
    bool waited;
    http_puller *puller;
} counter;

static ssize_t pull_lines(void *arg, char *out, size_t size)
{
    counter *c = arg;
    if (!c->left)
        return HTTP_PULL_END;
    c->left--;
    return snprintf(out, size, "line %d\n", c->left);
}

static void pull_ended(void *arg)
{
    free(arg);
    f.ended++;
}

static void push_lines(void *arg)
{
    http_stream *s = arg;
    char line[1000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    bool there = true;
    for (int i = 0; i < 5000 && there; i++)
        there = http_stream_write(s, line, sizeof line);
    http_stream_end(s, there);
    f.ended++;
}

static http_step on_headers(void *self, http_request *r, size_t *limit)
{
    (void)self;
    if (strcmp(r->path, "/small") == 0)
        *limit = 10;
    else if (strncmp(r->path, "/big", 4) == 0)
        *limit = 64 << 20;
    if (strcmp(r->path, "/denied") == 0) {
        http_answer(r, 401, NULL, NULL);
        return HTTP_STEP_ANSWERED;
    }
    if (strcmp(r->path, "/asked") == 0) {
        lane_post(f.lane, (lane_function)http_continue, r);
        return HTTP_STEP_WAIT;
    }
    return HTTP_STEP_GO;
}

static void on_request(void *self, http_request *r)
{
    (void)self;
    f.runs++;
    if (strcmp(r->path, "/big-kept") == 0) {
        f.kept[f.n_kept] = r;
        f.n_kept++;
    } else if (strcmp(r->path, "/later") == 0 || strncmp(r->path, "/big", 4) == 0) {
        lane_post(f.lane, answer_length, r);
    } else if (strcmp(r->path, "/never") == 0) {
        f.held = r;
    } else if (strcmp(r->path, "/pull") == 0) {
        counter *c = calloc(1, sizeof *c);
        c->left = 1000;
        http_puller_release(http_answer_pull(r, 200, "text/plain", pull_lines, pull_ended, c));
    } else if (strcmp(r->path, "/push") == 0) {
        lane_post(f.lane, push_lines, http_answer_stream(r, 200, "text/plain"));
    } else {
        answer_length(r);
    }
}

static void on_refusal(void *self, http_request *r, int status, const char *why, const limit *met)
{
    (void)self, (void)met;
    f.refused++;
    text body = {0};
    text_add(&body, why);
    http_answer(r, status, "text/plain", &body);
}

static void on_done(void *self, const http_request *r, int status, uint64_t sent, int64_t took)
{
    (void)self, (void)r, (void)sent, (void)took;
    f.last_status = status;
    f.done++;
}

static void *run_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static int start(void **state)
{
    (void)state;
    status st;
    f.loop = loop_create();
    f.pool = lane_pool_create(2);
    f.lane = lane_open(f.pool, "test");
    http_hooks hooks = {&f, on_headers, on_request, on_refusal, on_done};
    if (http_server_create(f.loop, &f.limits, &hooks, &f.server, &st) ||
        http_listen(f.server, &(http_listener){.refuse_chunked = f.refuse_chunked}, NULL, &f.port, &st)) {
        fprintf(stderr, "%s (%s)\n", st.text, st.hint);
        return -1;
    }
    return pthread_create(&f.thread, NULL, run_loop, f.loop);
}

static int setup(void **state)
{
    memset(&f, 0, sizeof f);
    http_limits_default(&f.limits);
    return start(state);
}

static int setup_strict(void **state)
{
    memset(&f, 0, sizeof f);
    http_limits_default(&f.limits);
    f.limits.idle_ms = f.limits.receive_ms = 500;
    f.refuse_chunked = true;
    return start(state);
}

static int setup_tight(void **state)
{
    memset(&f, 0, sizeof f);
    http_limits_default(&f.limits);
    f.limits.idle_ms = f.limits.receive_ms = f.limits.send_ms = 400;
    return start(state);
}

static int setup_small_and_short(void **state)
{
    memset(&f, 0, sizeof f);
    http_limits_default(&f.limits);
    f.limits.body_memory = 4 << 20;
    f.limits.receive_ms = 2000;
    return start(state);
}

/* With time enough: who waits for memory longer than a body may take is refused. */
static int setup_small(void **state)
{
    memset(&f, 0, sizeof f);
    http_limits_default(&f.limits);
    f.limits.body_memory = 4 << 20;
    return start(state);
}

static void on_drained(void *arg)
{
    http_server_free(f.server);
    loop_stop(arg);
}

static void drain(void *arg)
{
    http_server_drain(f.server, 300, on_drained, arg);
}

static int teardown(void **state)
{
    (void)state;
    loop_post(f.loop, drain, f.loop);
    pthread_join(f.thread, NULL);
    lane_close(f.lane);
    lane_pool_free(f.pool);
    loop_free(f.loop);
    return 0;
}

static int ask(int fd, const char *path, text *out)
{
    char head[256];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    raw_say(fd, head);
    return raw_answer(fd, out, 5000);
}

static void wait_for(atomic_uint *counted, unsigned least)
{
    for (int i = 0; i < 5000 && *counted < least; i++)
        usleep(1000);
    assert_true(*counted >= least);
}

static void keep_alive_serves_many_requests_on_one_connection(void **state)
{
    (void)state;
    text out = {0};
    int fd = raw_connect(f.port);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask(fd, i % 3 == 0 ? "/now" : i % 3 == 1 ? "/later" : "/asked", &out), 200);
    assert_non_null(strstr(out.data, "X-Request-Id: "));
    assert_int_equal(f.runs, 50);
    close(fd);
    text_free(&out);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    text out = {0};
    int fd = raw_connect(f.port);
    raw_say(
        fd,
        "GET /later HTTP/1.1\r\nHost: a\r\n\r\nPOST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        "GET /asked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_read_all(fd, &out, 5000));
    char *first = strstr(out.data, "/later 0"), *second = strstr(out.data, "/now 3"),
         *third = strstr(out.data, "/asked 0");
    assert_true(first && second && third && first < second && second < third);
    close(fd);
    text_free(&out);
}

static void a_refused_small_body_keeps_the_connection(void **state)
{
    (void)state;
    text out = {0};
    int fd = raw_connect(f.port);
    raw_say(fd, "POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(raw_answer(fd, &out, 5000), 401);
    assert_int_equal(ask(fd, "/now", &out), 200);
    close(fd);
    text_free(&out);
}

static void body_limit_is_exact(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 200},
        {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890", 200},
        {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
         0}, /* small: read first, so it waits */
        {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n12345678901", 413},
        {"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413},
        {"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
         "chunked\r\n\r\n5\r\n12345\r\n5\r\n12345\r\n0\r\n\r\n",
         200},
        {"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
         "chunked\r\n\r\n5\r\n12345\r\n6\r\n123456\r\n0\r\n\r\n",
         413},
    };
    text out = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = raw_connect(f.port);
        raw_say(fd, cases[i].request);
        assert_int_equal(raw_answer(fd, &out, cases[i].status ? 5000 : 200), cases[i].status);
        close(fd);
    }
    text_free(&out);
}

/* Longer than any body may be: refused on the head, before anybody is asked (a quarter of 256 MiB). */
static void the_longest_body_of_all_is_known_before_the_route(void **state)
{
    (void)state;
    static const int status_of[] = {401, 401, 413};
    for (int i = 0; i < 3; i++) {
        text out = {0}, request = {0};
        int fd = raw_connect(f.port);
        text_printf(&request, "POST /denied HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n",
                    (64 << 20) - 1 + i);
        raw_say(fd, request.data);
        assert_int_equal(raw_answer(fd, &out, 5000), status_of[i]);
        close(fd);
        text_free(&out);
        text_free(&request);
    }
}

static void header_limits_refuse_with_431_and_414(void **state)
{
    (void)state;
    text out = {0};
    for (int n = 98; n <= 102; n++) { /* Host is one of the 100 */
        text request = {0};
        text_add(&request, "GET /now HTTP/1.1\r\nHost: a\r\n");
        for (int i = 1; i < n; i++)
            text_printf(&request, "X-%d: y\r\n", i);
        text_add(&request, "\r\n");
        int fd = raw_connect(f.port);
        raw_say(fd, request.data);
        assert_int_equal(raw_answer(fd, &out, 5000), n <= 100 ? 200 : 431);
        close(fd);
        text_free(&request);
    }
    for (int len = 8191; len <= 8193; len++) {
        text request = {0};
        text_add(&request, "GET /");
        for (int i = 1; i < len; i++)
            text_add_char(&request, 'a');
        text_add(&request, " HTTP/1.1\r\nHost: a\r\n\r\n");
        int fd = raw_connect(f.port);
        raw_say(fd, request.data);
        assert_int_equal(raw_answer(fd, &out, 5000), len <= 8192 ? 200 : 414);
        close(fd);
        text_free(&request);
    }
    text_free(&out);
}

static void streams_arrive_whole(void **state)
{
    (void)state;
    text out = {0};
    int fd = raw_connect(f.port);
    raw_say(fd, "GET /pull HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_read_all(fd, &out, 5000));
    assert_non_null(strstr(out.data, "line 999\n"));
    assert_non_null(strstr(out.data, "line 0\n"));
    assert_non_null(strstr(out.data, "\r\n0\r\n\r\n"));
    close(fd);
    text_clear(&out);
    fd = raw_connect(f.port);
    raw_say(fd, "GET /push HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(raw_read_all(fd, &out, 10000));
    assert_true(out.len > 5000000);
    assert_int_equal(memcmp(out.data + out.len - 5, "0\r\n\r\n", 5), 0);
    close(fd);
    wait_for(&f.ended, 2);
    text_free(&out);
}

static void a_stream_whose_client_left_ends_its_producer(void **state)
{
    (void)state;
    text out = {0};
    for (int i = 0; i < 5; i++) {
        int fd = raw_connect(f.port);
        raw_say(fd, "GET /push HTTP/1.1\r\nHost: a\r\n\r\n");
        raw_read(fd, &out, 2000);
        close(fd);
    }
    wait_for(&f.ended, 5);
    wait_for(&f.done, 5);
    text_free(&out);
}

static void an_answer_to_a_client_that_left_is_harmless(void **state)
{
    (void)state;
    int fd = raw_connect(f.port);
    raw_say(fd, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&f.runs, 1);
    while (!f.held)
        usleep(1000);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    usleep(50000);
    answer_length(f.held);
    wait_for(&f.done, 1);
}

static void drain_waits_for_a_running_handler(void **state)
{
    (void)state;
    text out = {0};
    int fd = raw_connect(f.port), idle = raw_connect(f.port);
    raw_say(fd, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!f.held)
        usleep(1000);
    loop_post(f.loop, drain, f.loop);
    assert_true(raw_read_all(idle, &out, 5000)); /* closed at once */
    usleep(20000);
    answer_length(f.held);
    assert_true(raw_read_all(fd, &out, 5000));
    assert_non_null(strstr(out.data, "/never 0"));
    assert_non_null(strstr(out.data, "Connection: close"));
    pthread_join(f.thread, NULL);
    close(fd);
    close(idle);
    lane_close(f.lane);
    lane_pool_free(f.pool);
    loop_free(f.loop);
    text_free(&out);
}

static void thousand_idle_connections_do_not_disturb(void **state)
{
    (void)state;
    enum { N = 1000 };
    static int fds[N];
    text out = {0};
    for (int i = 0; i < N; i++)
        fds[i] = raw_connect(f.port);
    for (int i = 0; i < N; i += 10)
        assert_int_equal(ask(fds[i], "/later", &out), 200);
    int64_t began = clock_monotonic_us();
    int fd = raw_connect(f.port);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(fd, "/now", &out), 200);
    assert_true(clock_monotonic_us() - began < 5000000);
    close(fd);
    for (int i = 0; i < N; i++)
        close(fds[i]);
    text_free(&out);
}

static void *send_big(void *arg)
{
    size_t len = (size_t)(uintptr_t)arg;
    char *body = malloc(len);
    memset(body, 'a', len);
    body[len - 1] = 'b';
    char head[128];
    snprintf(head, sizeof head, "POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
    int fd = raw_connect(f.port);
    raw_say(fd, head);
    raw_send(fd, body, len);
    text out = {0};
    int status = raw_answer(fd, &out, 10000);
    char expected[64];
    snprintf(expected, sizeof expected, "/big %zu %u", len, (unsigned)((len - 1) % 2 ? 'a' : 0) ^ 'b');
    bool right = status == 200 && strcmp(raw_body(&out), expected) == 0;
    if (!right)
        fprintf(stderr, "%d, %s not %s\n", status, raw_body(&out), expected);
    close(fd);
    free(body);
    text_free(&out);
    return (void *)(uintptr_t)right;
}

static void big_bodies_wait_for_memory_and_arrive_whole(void **state)
{
    (void)state; /* 4 MiB in all, a quarter each: eight senders of 0.9 MB cannot be in memory at once */
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, send_big, (void *)(uintptr_t)(900001 + i));
    for (int i = 0; i < 8; i++) {
        void *right;
        pthread_join(threads[i], &right);
        assert_non_null(right);
    }
}

static int send_kept(const char *body, size_t len)
{
    char head[128];
    snprintf(head, sizeof head, "POST /big-kept HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", len);
    int fd = raw_connect(f.port);
    raw_say(fd, head);
    if (body)
        raw_send(fd, body, len);
    return fd;
}

static void who_waits_too_long_for_memory_is_refused(void **state)
{
    (void)state; /* four bodies take what there is, as long as they are not answered */
    enum { LEN = 1000000 };
    int fds[KEPT_MAX];
    text out = {0};
    char *body = calloc(1, LEN);
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        fds[i] = send_kept(body, LEN);
        wait_for(&f.n_kept, i + 1);
    }
    int fd = send_kept(NULL, LEN);
    assert_int_equal(raw_answer(fd, &out, 10000), 503);
    assert_non_null(strstr(out.data, "too many bodies are in memory"));
    close(fd);
    for (unsigned i = 0; i < KEPT_MAX; i++) {
        answer_length(f.kept[i]);
        assert_int_equal(raw_answer(fds[i], &out, 5000), 200);
        close(fds[i]);
    }
    free(body);
    text_free(&out);
}

static void slow_senders_are_cut_at_the_deadline(void **state)
{
    (void)state;
    static const char *const begins[] = {"GET / HT", "GET /now HTTP/1.1\r\nHost: a\r\nX: ",
                                         "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"};
    for (unsigned i = 0; i < 3; i++) {
        int fd = raw_connect(f.port);
        text out = {0};
        int64_t began = clock_monotonic_us();
        raw_say(fd, begins[i]);
        bool closed = false;
        while (!closed && clock_monotonic_us() - began < 4000000) {
            raw_say(fd, "a"); /* each byte would renew an idle timeout */
            closed = raw_read(fd, &out, 20);
        }
        assert_true(closed);
        assert_true(clock_monotonic_us() - began < 2500000);
        close(fd);
        text_free(&out);
    }
    assert_int_equal(f.runs, 0);
}

static void slow_readers_are_cut_at_the_deadline(void **state)
{
    (void)state;
    int fd = raw_connect(f.port);
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    raw_say(fd, "GET /push HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&f.ended, 1);
    wait_for(&f.done, 1);
    close(fd);
}

typedef struct load {
    atomic_uint good;
} load;

static void *many_requests(void *arg)
{
    load *l = arg;
    text out = {0};
    int fd = raw_connect(f.port);
    for (int i = 0; i < 300; i++)
        l->good += ask(fd, i % 2 ? "/later" : "/asked", &out) == 200;
    close(fd);
    text_free(&out);
    return NULL;
}

static void answers_from_other_threads_under_load(void **state)
{
    (void)state;
    load l = {0};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, many_requests, &l);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(l.good, 2400);
}

static bool is_allowed(const json_t *list, int status)
{
    size_t i;
    json_t *v;
    json_array_foreach(list, i, v) if (json_integer_value(v) == status) return true;
    return false;
}

/* One hostile file: status among those allowed (or a bare close where it must close), closed where it must
 * be, and no more requests run than may be. */
static bool hostile_case(const json_t *c)
{
    const char *file = json_string_value(json_object_get(c, "file"));
    char path[256];
    snprintf(path, sizeof path, "hostile/http/%s", file);
    text bytes = {0}, out = {0};
    status st;
    assert_int_equal(disk_read(testdata(path), 1 << 20, &bytes, &st), STATUS_OK);
    unsigned before = f.runs;
    int fd = raw_connect(f.port);
    raw_send(fd, bytes.data, bytes.len);
    bool must_close = json_is_true(json_object_get(c, "must_close"));
    bool closed = raw_read_all(fd, &out, must_close ? 3000 : 300);
    int first = out.len > 12 ? atoi(out.data + 9) : 0;
    unsigned runs = f.runs - before;
    const json_t *allowed = json_object_get(c, "first_status");
    bool right = (first ? is_allowed(allowed, first) : must_close && closed) && (!must_close || closed) &&
                 runs <= json_integer_value(json_object_get(c, "requests_run"));
    if (!right)
        fprintf(stderr, "%s: status %d, closed %d, requests run %u\n", file, first, closed, runs);
    close(fd);
    text_free(&bytes);
    text_free(&out);
    return right;
}

static void hostile_requests_are_refused(void **state)
{
    (void)state;
    const char *path = testdata("hostile/http/index.json");
    if (!path)
        skip();
    json_t *index = json_load_file(path, 0, NULL);
    assert_non_null(index);
    size_t i, wrong = 0;
    json_t *c;
    json_array_foreach(index, i, c) wrong += !hostile_case(c);
    json_decref(index);
    assert_int_equal(wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keep_alive_serves_many_requests_on_one_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(pipelined_requests_are_answered_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_small_body_keeps_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(body_limit_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_body_of_all_is_known_before_the_route, setup, teardown),
        cmocka_unit_test_setup_teardown(header_limits_refuse_with_431_and_414, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_arrive_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_whose_client_left_ends_its_producer, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_to_a_client_that_left_is_harmless, setup, teardown),
        cmocka_unit_test_setup(drain_waits_for_a_running_handler, setup),
        cmocka_unit_test_setup_teardown(thousand_idle_connections_do_not_disturb, setup, teardown),
        cmocka_unit_test_setup_teardown(big_bodies_wait_for_memory_and_arrive_whole, setup_small, teardown),
        cmocka_unit_test_setup_teardown(who_waits_too_long_for_memory_is_refused, setup_small_and_short,
                                        teardown),
        cmocka_unit_test_setup_teardown(slow_senders_are_cut_at_the_deadline, setup_tight, teardown),
        cmocka_unit_test_setup_teardown(slow_readers_are_cut_at_the_deadline, setup_tight, teardown),
        cmocka_unit_test_setup_teardown(answers_from_other_threads_under_load, setup, teardown),
        cmocka_unit_test_setup_teardown(hostile_requests_are_refused, setup_strict, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
