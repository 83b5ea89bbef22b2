/* The writer's queue: workspaces take turns, whatever each has waiting. */
#include "support/check.h"

#include <string.h>

#include "flow/writer_queue.h"

enum { NOISY = 7, QUIET = 8, NOISY_STREAMS = 16, CHUNK = 1 << 20, SMALL = 1 << 10 };

static stream_state *meet(writer_queue *q, uint32_t id, uint32_t wid, journal_lane lane)
{
    journal_stream at = {.id = id, .wid = wid, .lane = lane};
    return writer_queue_meet(q, &at);
}

static writer_queue with_noise(void)
{
    writer_queue q = {0};
    for (uint32_t i = 1; i <= NOISY_STREAMS; i++)
        writer_queue_add(&q, meet(&q, i, NOISY, JOURNAL_LIVE));
    return q;
}

/* A turn of the noisy one, which has more waiting then than before. */
static uint64_t serve(writer_queue *q, stream_state *s)
{
    uint64_t cost = s->workspace->wid == NOISY ? CHUNK : SMALL;
    writer_queue_charge(q, s->workspace, cost);
    if (s->workspace->wid == NOISY)
        writer_queue_add(q, s);
    return cost;
}

/* Sixteen streams wait and come back again and again: what the quiet one has is served after one of them. */
static void a_quiet_workspace_is_next(void **state)
{
    (void)state;
    writer_queue q = with_noise();
    for (int round = 0; round < 20; round++) {
        uint64_t before = 0;
        for (int i = 0; i < 3; i++)
            serve(&q, writer_queue_next(&q));
        writer_queue_add(&q, meet(&q, 100, QUIET, JOURNAL_LIVE));
        stream_state *s;
        while ((s = writer_queue_next(&q))->workspace->wid != QUIET)
            before += serve(&q, s);
        serve(&q, s);
        assert_in_range(before, 0, CHUNK);
    }
    writer_queue_free(&q);
}

static void each_gets_its_weight(void **state)
{
    (void)state;
    writer_queue q = with_noise();
    uint64_t got[2] = {0};
    for (uint32_t i = 0; i < 4; i++)
        writer_queue_add(&q, meet(&q, 100 + i, QUIET, JOURNAL_LIVE));
    writer_queue_workspace(&q, QUIET)->taker.weight = 300;
    for (int i = 0; i < 20000; i++) {
        stream_state *s = writer_queue_next(&q);
        got[s->workspace->wid == QUIET] += serve(&q, s);
        writer_queue_add(&q, s);
    }
    double share = (double)got[1] / (double)(got[0] + got[1]);
    assert_true(share > 0.75 * 0.95 && share < 0.75 * 1.05);
    writer_queue_free(&q);
}

static void live_streams_come_first(void **state)
{
    (void)state;
    writer_queue q = {0};
    writer_queue_add(&q, meet(&q, 1, NOISY, JOURNAL_BACKLOG));
    writer_queue_add(&q, meet(&q, 2, NOISY, JOURNAL_LIVE));
    writer_queue_add(&q, meet(&q, 2, NOISY, JOURNAL_LIVE));
    assert_int_equal(writer_queue_next(&q)->id, 2);
    assert_int_equal(writer_queue_next(&q)->id, 1);
    assert_null(writer_queue_next(&q));
    writer_queue_free(&q);
}

static void stopped_streams_wait_for_a_person(void **state)
{
    (void)state;
    writer_queue q = {0};
    for (uint32_t i = 1; i <= 500; i++)
        meet(&q, i, i % 100 + 1, JOURNAL_LIVE)->stopped = i % 100 == 7;
    assert_int_equal(writer_queue_stopped(&q, 8), 5);
    writer_queue_add(&q, writer_queue_stream(&q, 107));
    assert_null(writer_queue_next(&q));
    assert_int_equal(writer_queue_adopt(&q), 5);
    assert_int_equal(writer_queue_stopped(&q, 8), 0);
    assert_int_equal(writer_queue_next(&q)->id % 100, 7);
    assert_null(writer_queue_stream(&q, 501));
    writer_queue_free(&q);
}

/* A stream that another writer goes on with: the others keep their turns, and who has none left wants none.
 */
static void a_stream_may_be_withdrawn(void **state)
{
    (void)state;
    writer_queue q = {0};
    for (uint32_t i = 1; i <= 3; i++)
        writer_queue_add(&q, meet(&q, i, QUIET, JOURNAL_LIVE));
    writer_queue_add(&q, meet(&q, 4, NOISY, JOURNAL_BACKLOG));
    assert_true(writer_queue_withdraw(&q, writer_queue_stream(&q, 3)));
    assert_true(writer_queue_withdraw(&q, writer_queue_stream(&q, 1)));
    assert_false(writer_queue_withdraw(&q, writer_queue_stream(&q, 1)));
    assert_true(writer_queue_withdraw(&q, writer_queue_stream(&q, 4)));
    writer_queue_add(&q, writer_queue_stream(&q, 1));
    assert_int_equal(writer_queue_waiting(&q), 1);
    assert_int_equal(writer_queue_next(&q)->id, 2);
    assert_int_equal(writer_queue_next(&q)->id, 1);
    assert_null(writer_queue_next(&q));
    writer_queue_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_workspace_is_next), cmocka_unit_test(each_gets_its_weight),
        cmocka_unit_test(live_streams_come_first),   cmocka_unit_test(stopped_streams_wait_for_a_person),
        cmocka_unit_test(a_stream_may_be_withdrawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
