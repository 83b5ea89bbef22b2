/* What the writer rests on, one guard after the other: one transaction for rows, position, marks and books; a
 * COMMIT whose answer never came; a database that was restored from an older dump, and a journal that was.
 * Each case says what must be true while something is half done, so that it fails when its guard is taken out
 * (fault/guards does that). */
#include "pipeline_stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"

enum { BODY = 200, RETRIES_MANY = 6 };

static size_t body_of(char out[BODY], unsigned n)
{
    return (size_t)snprintf(out, BODY,
                            "{\"ts\":\"2026-04-01T00:%02u:00Z\",\"series\":\"one\",\"pressure\":%u}\n", n, n);
}

static void post_row(bench *b, unsigned n)
{
    char body[BODY];
    assert_int_equal(bench_post(b, body, body_of(body, n), DECODE_NDJSON).new_rows, 1);
}

static void send_row(bench *b, unsigned n, bool wait_stored)
{
    char body[BODY];
    bench_send(b, body, body_of(body, n), DECODE_NDJSON, wait_stored);
}

static int64_t stored_rows(bench *b)
{
    return bench_count(b, "SELECT count(*) FROM datastore.events_wid7");
}

static size_t pending_streams(bench *b)
{
    const journal_stream *streams;
    arena *a = arena_create(0);
    size_t n = journal_streams(b->journal, true, a, &streams);
    arena_free(a);
    return n;
}

static writer_figures look(bench *b)
{
    writer_figures sum = {0};
    for (unsigned i = 0; i < WRITERS; i++) {
        writer_figures one = writer_look(b->writers[i]);
        sum.retries += one.retries;
        sum.streams_stopped += one.streams_stopped;
    }
    return sum;
}

static void pause_ms(long ms)
{
    usleep((useconds_t)ms * 1000);
}

/* ---- one transaction ---- */

typedef struct picture { /* what another session sees, and what has been said */
    int64_t rows, position, marks, received;
    size_t pending;
    bool answered;
} picture;

static picture take_picture(bench *b)
{
    return (picture){
        stored_rows(b),
        bench_count(b, "SELECT coalesce(sum(seq), 0)::bigint FROM penstock.position WHERE wid = 7"),
        bench_count(b, "SELECT count(*) FROM penstock.dirty_wid7"),
        bench_count(b, "SELECT coalesce(sum(received), 0)::bigint FROM penstock.ledger_wid7"),
        pending_streams(b),
        bench_answered(b)};
}

static connection *lock_table(const char *table)
{
    status st;
    char sql[120];
    connection *c = test_connect("flow");
    snprintf(sql, sizeof sql, "LOCK TABLE %s IN EXCLUSIVE MODE", table);
    must(connection_begin(c, &st), &st);
    must(connection_exec(c, sql, NULL, 0, NULL, &st), &st);
    return c;
}

/* The writer is held up where it writes the table, looked at, and its session ended there. */
static void one_transaction_at(bench *b, const char *table, unsigned row)
{
    picture before = take_picture(b);
    uint64_t durable = journal_stats_get(b->journal).records;
    connection *blocker = lock_table(table);
    send_row(b, row, true);
    bench_wait_blocked(b, "%");
    while (journal_stats_get(b->journal).records == durable) /* the writer may be there before the sync is */
        pause_ms(1);
    picture during = take_picture(b);
    assert_true(bench_count(b, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                               " wait_event_type = 'Lock'") > 0);
    connection_close(blocker);
    assert_false(during.answered);
    assert_int_equal(during.pending, before.pending + 1);
    assert_int_equal(during.rows, before.rows);
    assert_int_equal(during.position, before.position);
    assert_int_equal(during.marks, before.marks);
    assert_int_equal(during.received, before.received);
    assert_int_equal(bench_wait(b).new_rows, 1);
    picture after = take_picture(b);
    assert_int_equal(after.rows, before.rows + 1);
    assert_int_equal(after.marks, before.marks + 1);
    assert_int_equal(after.received, before.received + 1);
}

static void what_belongs_together_is_one_transaction(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    post_row(b, 1); /* the month has its partition */
    one_transaction_at(b, "datastore.events_wid7", 2);
    one_transaction_at(b, "penstock.dirty_wid7", 3);
    one_transaction_at(b, "penstock.ledger_wid7", 4);
}

/* ---- the journal first ---- */

#ifdef PENSTOCK_FAULTS
/* The writer has the row while the journal syncs it. That takes long and fails: the row is nowhere. */
static void a_commit_waits_for_the_journal(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    post_row(b, 1);
    picture before = take_picture(b);
    connection *blocker = lock_table("datastore.events_wid7");
    journal_fault_set(b->journal, JOURNAL_FAULT_SYNC_LOST, 1);
    send_row(b, 2, true);
    bench_wait_blocked(b, "%");
    bool synced = bench_answered(b) || journal_stats_get(b->journal).failed;
    connection_close(blocker);
    while (!bench_answered(b))
        pause_ms(1);
    assert_int_equal(b->verdict.st.class, STATUS_UNAVAILABLE);
    while (journal_stats_get(b->journal).failed || look(b).retries == 0)
        pause_ms(1);
    picture after = take_picture(b);
    assert_false(synced); /* it was read ahead */
    assert_int_equal(after.rows, before.rows);
    assert_int_equal(after.position, before.position);
    assert_int_equal(after.received, before.received);
    post_row(b, 3);
    assert_int_equal(stored_rows(b), before.rows + 1);
}
#endif

/* ---- a COMMIT without an answer ---- */

static enum { LOSE_NOTHING, LOSE_ANSWER, LOSE_COMMIT } losing;
static connection_driver lossy;
static void *lost_handle; /* the session that lost its COMMIT */

static status_class lossy_exec(void *handle, const driver_request *requests, unsigned n, rows **results,
                               unsigned *failed_out, int64_t wait_ms, connection_failure *failure, status *st)
{
    if (losing == LOSE_NOTHING || n != 1 || strcmp(requests->name, "commit") != 0)
        return connection_libpq.exec(handle, requests, n, results, failed_out, wait_ms, failure, st);
    driver_request undo = {.action = DRIVER_SCRIPT, .name = "rollback", .sql = "ROLLBACK"};
    const driver_request *happens = losing == LOSE_COMMIT ? &undo : requests;
    losing = LOSE_NOTHING;
    lost_handle = handle;
    must(connection_libpq.exec(handle, happens, 1, results, failed_out, wait_ms, failure, st), st);
    rows_free(results[0]);
    results[0] = NULL;
    return status_set(st, STATUS_UNAVAILABLE, "commit: the connection ended");
}

static bool lossy_broken(void *handle)
{
    return handle == lost_handle || connection_libpq.broken(handle);
}

static void lossy_close(void *handle)
{
    if (handle == lost_handle)
        lost_handle = NULL;
    connection_libpq.close(handle);
}

static int make_lossy(void **state)
{
    losing = LOSE_NOTHING;
    lossy = connection_libpq;
    lossy.exec = lossy_exec;
    lossy.broken = lossy_broken;
    lossy.close = lossy_close;
    connection_use(&lossy);
    return bench_make(state);
}

static int free_lossy(void **state)
{
    int ret = bench_free(state);
    connection_use(NULL);
    return ret;
}

/* The writer cannot know whether its COMMIT happened: both times the row is there once in the end. Whoever
 * kept what it believed before would be refused by the position for ever. */
static void a_commit_without_an_answer_is_looked_up(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    post_row(b, 1);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t retries = look(b).retries;
        losing = i ? LOSE_COMMIT : LOSE_ANSWER;
        send_row(b, 2 + i, true);
        while (!bench_answered(b) && look(b).retries < retries + RETRIES_MANY)
            pause_ms(2);
        assert_true(bench_answered(b));
        assert_true(bench_wait(b).stored);
        assert_true(look(b).retries > retries);
        assert_int_equal(stored_rows(b), 2 + i);
        assert_int_equal(bench_count(b, "SELECT sum(received) FROM penstock.ledger_wid7"), 2 + i);
    }
}

/* ---- restored ---- */

static void wait_trimmed(bench *b)
{
    while (journal_backlog_get(b->journal, 0, NULL).rows > 0)
        pause_ms(2);
}

/* Until the stream is stopped, or nothing of it waits any more: then somebody has passed something over. */
static uint32_t stopped_streams(bench *b)
{
    while (look(b).streams_stopped == 0 && pending_streams(b) > 0)
        pause_ms(2);
    return look(b).streams_stopped;
}

static void a_restored_database_stops_the_stream(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    post_row(b, 1);
    post_row(b, 2);
    wait_trimmed(b);
    bench_stop(b);
    bench_count(b, "WITH gone AS (DELETE FROM datastore.events_wid7 WHERE pressure = 2), back AS (UPDATE"
                   " penstock.position SET seq = seq - 1 WHERE wid = 7) SELECT 0::bigint");
    bench_start(b);
    send_row(b, 3, false);
    bench_wait(b);
    assert_int_equal(stopped_streams(b), 1);
    assert_int_equal(stored_rows(b), 1);
    unsigned streams = 0;
    for (unsigned i = 0; i < WRITERS; i++)
        streams += writer_adopt(b->writers[i]);
    assert_int_equal(streams, 1);
    wait_trimmed(b);
    assert_int_equal(stored_rows(b), 2);
}

static void copy_journal(const char *from, const char *to)
{
    status st;
    text file = {0}, path = {0};
    text_printf(&path, "%s/data.mdb", from);
    must(disk_read(path.data, 64 << 20, &file, &st), &st);
    text_clear(&path);
    text_printf(&path, "%s/data.mdb", to);
    must(disk_write(path.data, file.data, file.len, 0600, &st), &st);
    text_free(&file);
    text_free(&path);
}

/* Its streams count again what they had counted before: what comes now has numbers that the database has
 * seen. */
static void an_older_journal_stops_the_stream(void **state)
{
    bench *b = *state;
    if (!b->service)
        skip();
    char *kept = test_folder();
    post_row(b, 1);
    wait_trimmed(b);
    bench_stop(b);
    copy_journal(b->folder, kept);
    bench_start(b);
    post_row(b, 2);
    post_row(b, 3);
    bench_stop(b);
    copy_journal(kept, b->folder);
    test_folder_remove(kept);
    bench_start(b);
    send_row(b, 4, false);
    bench_wait(b);
    assert_int_equal(stopped_streams(b), 1);
    assert_int_equal(pending_streams(b), 1); /* the row is kept */
    assert_int_equal(stored_rows(b), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_belongs_together_is_one_transaction, bench_make, bench_free),
#ifdef PENSTOCK_FAULTS
        cmocka_unit_test_setup_teardown(a_commit_waits_for_the_journal, bench_make, bench_free),
#endif
        cmocka_unit_test_setup_teardown(a_commit_without_an_answer_is_looked_up, make_lossy, free_lossy),
        cmocka_unit_test_setup_teardown(a_restored_database_stops_the_stream, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(an_older_journal_stops_the_stream, bench_make, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
