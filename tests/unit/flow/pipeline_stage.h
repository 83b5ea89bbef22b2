/* The way from bytes to features as a test sees it: intake, journal, two writers and a PostgreSQL of its own,
 * with one keyed datastore "events" and the featurestore "rollup" of it. Without a PostgreSQL `service` is
 * NULL and the test skips. */
#ifndef PENSTOCK_TESTS_PIPELINE_STAGE_H
#define PENSTOCK_TESTS_PIPELINE_STAGE_H
#include "support/check.h"

#include <pthread.h>

#include "flow/crew.h"
#include "flow/intake.h"
#include "flow/writer.h"
#include "support/cluster.h"

enum { WRITERS = 2, WID = 7, METRICS = 2, FIGURES = 11 };
typedef struct bench {
    char *folder;
    const definition *definition;
    const flow_plan *plan;
    pool *service;
    connection *login; /* the workspace's */
    partition_cache *partitions;
    journal *journal;
    waiter_table *waiters;
    intake *intake;
    writer *writers[WRITERS];
    crew *crew;
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done;
    intake_verdict verdict;
} bench;

/* For setup and teardown: *state is a bench. */
int bench_make(void **state);
int bench_free(void **state);
/* Opens the journal and starts the writers; the reverse. The database and the journal's folder stay. */
void bench_start(bench *b);
void bench_stop(bench *b);
void bench_stop_writers(bench *b);
void must(status_class class, const status *st);

/* Rows into "events". bench_post waits until they are stored; bench_send only hands them over, with a wait
 * for `stored` or for the journal, and bench_wait waits for the answer. */
void bench_send(bench *b, const char *body, size_t len, decode_format format, bool wait_stored);
intake_verdict bench_wait(bench *b);
bool bench_answered(bench *b);
intake_verdict bench_post(bench *b, const char *body, size_t len, decode_format format);
/* Refreshes "rollup" until nothing is dirty; how many keys it computed. */
uint64_t bench_refresh(bench *b);
int64_t bench_count(bench *b, const char *sql);
/* Until a statement like `query` waits for a lock. */
void bench_wait_blocked(bench *b, const char *query);
#endif
