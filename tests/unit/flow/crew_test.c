/* Which writer carries a store's rows: few that come together go to one, more to the one of each shard, and a
 * stream stays where it is while some of it is under way. */
#include "pipeline_stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BODY = 200 * 1000, SERIES = 16 };

/* `rows` rows of several series, so that each shard gets some; no two bodies have a row in common. */
static char *make_body(unsigned rows, size_t *len_out)
{
    static unsigned next;
    char *body = memory_alloc(BODY), *at = body;
    for (unsigned i = 0; i < rows; i++, next++)
        at += sprintf(at, "{\"ts\":\"2026-04-01T%02u:%02u:%02uZ\",\"series\":\"s%u\",\"pressure\":1}\n",
                      next / 3600 % 24, next / 60 % 60, next % 60, i % SERIES);
    *len_out = (size_t)(at - body);
    assert_true(*len_out < BODY);
    return body;
}

static void send(bench *b, unsigned rows)
{
    size_t len;
    char *body = make_body(rows, &len);
    bench_send(b, body, len, DECODE_NDJSON, true);
    free(body);
}

typedef struct carried { /* records */
    uint64_t by[WRITERS], retries;
} carried;

static carried look(bench *b)
{
    carried sum = {0};
    for (unsigned i = 0; i < WRITERS; i++) {
        writer_figures one = writer_look(b->writers[i]);
        sum.by[i] = one.records;
        sum.retries += one.retries;
    }
    return sum;
}

static unsigned n_carriers(bench *b, const carried *before)
{
    carried now = look(b);
    unsigned n = 0;
    for (unsigned i = 0; i < WRITERS; i++)
        n += now.by[i] > before->by[i];
    return n;
}

/* How many writers have carried the rows of one body; the turns that did are over. */
static unsigned carriers_of(bench *b, unsigned rows)
{
    carried before = look(b);
    send(b, rows);
    assert_int_equal(bench_wait(b).new_rows, rows);
    for (unsigned i = 0; i < WRITERS; i++)
        writer_barrier(b->writers[i]);
    return n_carriers(b, &before);
}

static void few_rows_have_one_writer(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    assert_int_equal(carriers_of(b, CREW_FEW_ROWS - 1), 1);
    assert_int_equal(carriers_of(b, CREW_FEW_ROWS), 1);
    assert_int_equal(carriers_of(b, CREW_FEW_ROWS + 1), WRITERS);
    assert_int_equal(carriers_of(b, SERIES), 1);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM datastore.events_wid7"),
                     3 * CREW_FEW_ROWS + SERIES);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.position WHERE wid = 7"), WRITERS);
    assert_int_equal(look(b).retries, 0);
}

/* One writer has both streams in a transaction that is held up, when so much comes that each would go to a
 * writer of its own. It is written behind it, by the same one. */
static void a_stream_in_a_turn_stays(void **state)
{
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    assert_int_equal(carriers_of(b, SERIES), 1);
    carried before = look(b);
    uint64_t records = journal_stats_get(b->journal).records;
    connection *blocker = test_connect("flow");
    must(connection_begin(blocker, &st), &st);
    must(connection_exec(blocker, "LOCK TABLE datastore.events_wid7 IN EXCLUSIVE MODE", NULL, 0, NULL, &st),
         &st);
    send(b, SERIES);
    bench_wait_blocked(b, "%");
    send(b, CREW_FEW_ROWS + 1);
    while (journal_stats_get(b->journal).records < records + 2UL * WRITERS)
        usleep(1000);
    connection_close(blocker);
    while (bench_count(b, "SELECT count(*) FROM datastore.events_wid7") < 2 * SERIES + CREW_FEW_ROWS + 1)
        usleep(1000);
    bench_wait(b);
    for (unsigned i = 0; i < WRITERS; i++)
        writer_barrier(b->writers[i]);
    assert_int_equal(n_carriers(b, &before), 1);
    assert_int_equal(look(b).retries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_rows_have_one_writer, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(a_stream_in_a_turn_stays, bench_make, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
