/* A server for wrk: POST /now answers on the loop, POST /later from another thread, both through the whole
 * router with a key. Prints its port, and at the end what each request cost in CPU time of this process.
 *   http_bench & wrk -t1 -c32 -d10 -s post.lua http://127.0.0.1:PORT/later */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/metric.h"
#include "serve/router.h"

static router *bench_router;
static loop *bench_loop;
static lane *answering;
static unsigned long n_requests;
static struct rusage before;

static void answer(void *arg)
{
    http_request *r = arg;
    static const char body[] = "{\"received\":1}\n";
    http_answer_static(r, 202, "application/json", body, sizeof body - 1);
}

static void now(http_request *r)
{
    n_requests++;
    answer(r);
}

static void later(http_request *r)
{
    n_requests++;
    lane_post(answering, answer, r);
}

static status_class verify(void *self, const char *key, principal *who, status *st)
{
    (void)self, (void)key, (void)st;
    *who = (principal){.kind = "key", .id = "key_bench", .n_scopes = 1, .scopes = {{.verbs = VERB_ALL}}};
    return STATUS_OK;
}

static const route rows[] = {
    {.method = HTTP_POST,
     .path = "/api/v1/{ns}/stores/{k}/now",
     .name = "now",
     .tag = "b",
     .summary = "s",
     .verb = VERB_WRITE,
     .reference = "datastore:{k}",
     .body_limit = 16 << 20,
     .request_schema = "{}",
     .response_schema = "{}",
     .success = 202,
     .handler = now},
    {.method = HTTP_POST,
     .path = "/api/v1/{ns}/stores/{k}/later",
     .name = "later",
     .tag = "b",
     .summary = "s",
     .verb = VERB_WRITE,
     .reference = "datastore:{k}",
     .body_limit = 16 << 20,
     .request_schema = "{}",
     .response_schema = "{}",
     .success = 202,
     .handler = later},
};

static double cpu_us(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void report(uv_signal_t *handle, int number)
{
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    if (n_requests)
        printf("%lu requests, %.1f us CPU each\n", n_requests,
               (cpu_us(&after) - cpu_us(&before)) / (double)n_requests);
    fflush(stdout);
    n_requests = 0;
    before = after;
    (void)handle;
    if (number == SIGTERM)
        exit(0);
}

int main(void)
{
    bench_loop = loop_create();
    lane_pool *pool = lane_pool_create(2);
    answering = lane_open(pool, "answers");
    route_table *table = route_table_create();
    route_table_add(table, rows, sizeof rows / sizeof *rows);
    router_config config = {.loop = bench_loop,
                            .lanes = pool,
                            .table = table,
                            .auth = {.key_verify = verify, .cache_ms = 600000}};
    status st;
    uint16_t port;
    if (router_create(&config, &bench_router, &st) ||
        router_listen(bench_router, &(http_listener){0}, false, &port, &st)) {
        fprintf(stderr, "%s\n", st.text);
        return 1;
    }
    printf("%u\n", port);
    fflush(stdout);
    uv_signal_t show, end;
    uv_signal_init(loop_uv(bench_loop), &show);
    uv_signal_init(loop_uv(bench_loop), &end);
    uv_signal_start(&show, report, SIGUSR1);
    uv_signal_start(&end, report, SIGTERM);
    loop_run(bench_loop);
    return 0;
}
