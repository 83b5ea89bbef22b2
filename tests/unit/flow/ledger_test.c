/* The ledger of a workspace under several who book at once. */
#include "pipeline_stage.h"

#include "flow/ledger.h"
#include "store/pool.h"

enum { LOCK_MS = 5000 };
static const int64_t received_us = 1774720799000000;

static connection *begin(bench *b, ledger_book *book, status *st)
{
    connection *c;
    must(pool_borrow(b->service, NULL, LOCK_MS, &c, st), st);
    must(connection_exec(c, "SET lock_timeout = '5s'", NULL, 0, NULL, st), st);
    must(connection_begin(c, st), st);
    ledger_book_add(book, WID, "events", received_us,
                    &(ledger_counts){.received = 3, .stored = 2, .duplicate = 1});
    ledger_book_add(book, WID, "others", received_us, &(ledger_counts){.received = 1, .stored = 1});
    return c;
}

/* A writer that has booked and waits for its commit's sync holds up nobody. */
static void writers_do_not_wait_for_each_other(void **state)
{
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    ledger_book *books[] = {ledger_book_create(LEDGER_WRITERS), ledger_book_create(LEDGER_WRITERS + 1),
                            ledger_book_create(LEDGER_OTHERS)};
    connection *c[3];
    for (int i = 0; i < 3; i++) {
        c[i] = begin(b, books[i], &st);
        must(ledger_book_write(books[i], c[i], &st),
             &st); /* within the lock's timeout, the others uncommitted */
    }
    for (int i = 0; i < 3; i++) {
        must(connection_commit(c[i], &st), &st);
        must(connection_exec(c[i], "RESET lock_timeout", NULL, 0, NULL, &st), &st);
        pool_return(b->service, c[i]);
        ledger_book_free(books[i]);
    }
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.ledger_wid7"), 6);
    assert_int_equal(bench_count(b, "SELECT sum(received) FROM penstock.ledger_wid7 WHERE store = 'events'"),
                     9);
}

/* More lines than one round trip takes; the same ones again add up. */
static void many_lines_add_up(void **state)
{
    bench *b = *state;
    status st;
    if (!b->service)
        skip();
    connection *c;
    must(pool_borrow(b->service, NULL, LOCK_MS, &c, &st), &st);
    for (int round = 0; round < 2; round++) {
        ledger_book *book = ledger_book_create(LEDGER_WRITERS + 5);
        for (int minute = 0; minute < 100; minute++)
            ledger_book_add(book, WID, "many", received_us + minute * INT64_C(60000000),
                            &(ledger_counts){.received = minute});
        must(ledger_book_write(book, c, &st), &st);
        ledger_book_free(book);
    }
    pool_return(b->service, c);
    assert_int_equal(bench_count(b, "SELECT count(*) FROM penstock.ledger_wid7 WHERE store = 'many'"), 100);
    assert_int_equal(bench_count(b, "SELECT sum(received) FROM penstock.ledger_wid7 WHERE store = 'many'"),
                     2 * 4950);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writers_do_not_wait_for_each_other, bench_make, bench_free),
        cmocka_unit_test_setup_teardown(many_lines_add_up, bench_make, bench_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
