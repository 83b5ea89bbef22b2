/* The buffer between a producer and the connection, with the server played here: the test says when the
 * client takes how much. */
#include "serve/http_stream.c"

#include "support/check.h"

static http_stream *under_way;
static http_pull pull;
static void (*pull_end)(void *arg);

http_puller *http_answer_pull(http_request *r, int status, const char *type, http_pull pull_is,
                              void (*end)(void *arg), void *arg)
{
    (void)r, (void)status, (void)type;
    pull = pull_is;
    pull_end = end;
    under_way = arg;
    return NULL;
}

void http_pull_wake(http_puller *p)
{
    (void)p;
}

void http_puller_release(http_puller *p)
{
    (void)p;
}

/* Always a little behind, for a hundred times the room: what it has read is not kept. */
static void a_client_that_is_never_up_to_date_costs_what_waits_only(void **state)
{
    (void)state;
    enum { PART = 64 << 10, BEHIND = 512 << 10, PARTS = 100 * (STREAM_ROOM / PART) };
    static char part[PART], out[PART];
    http_stream *s = http_answer_stream(NULL, 200, "text/event-stream");
    size_t most = 0;
    for (unsigned char i = 0; i < BEHIND / PART; i++) {
        memset(part, i, sizeof part);
        assert_true(http_stream_offer(s, part, sizeof part));
    }
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(pull(s, out, sizeof out), PART);
        assert_int_equal((unsigned char)out[PART - 1], (unsigned char)i);
        memset(part, i + BEHIND / PART, sizeof part);
        assert_true(http_stream_offer(s, part, sizeof part));
        assert_int_equal(http_stream_waiting(s), BEHIND);
        most = s->buffer.cap > most ? s->buffer.cap : most;
    }
    assert_in_range(most, BEHIND, 4 * BEHIND);
    http_stream_end(s, true);
    pull_end(under_way);
}

/* One byte more than may be ahead of the client. */
static void what_is_offered_is_bounded(void **state)
{
    (void)state;
    static char all[HTTP_STREAM_OFFER_ROOM];
    char out[16];
    http_stream *s = http_answer_stream(NULL, 200, "text/event-stream");
    assert_true(http_stream_offer(s, all, sizeof all - 1));
    assert_true(http_stream_offer(s, all, 1));
    assert_false(http_stream_offer(s, all, 1));
    assert_true(pull(s, out, sizeof out) > 0);
    http_stream_end(s, false);
    pull_end(under_way);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_is_never_up_to_date_costs_what_waits_only),
        cmocka_unit_test(what_is_offered_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
