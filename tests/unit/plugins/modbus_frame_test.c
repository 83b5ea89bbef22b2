/* Modbus requests and answers byte by byte, over TCP and as RTU frames. */
#include "frame.h"

#include <string.h>

#include "support/check.h"

static const frame_ask tcp_ask = {
    .transaction = 0x0102, .unit = 17, .table = FRAME_HOLDING, .from = 107, .n = 3};
static const frame_ask rtu_ask = {.rtu = true, .unit = 17, .table = FRAME_HOLDING, .from = 107, .n = 3};
#define READ(ask, bytes, answer) frame_read(ask, (const uint8_t *)(bytes), sizeof(bytes) - 1, answer)

static void test_requests(void **state)
{
    (void)state;
    uint8_t out[FRAME_MAX];
    assert_int_equal(frame_write(&tcp_ask, out), 12);
    assert_memory_equal(out, "\1\2\0\0\0\6\x11\3\0\x6b\0\3", 12);
    assert_int_equal(frame_write(&rtu_ask, out), 8);
    assert_memory_equal(out, "\x11\3\0\x6b\0\3\x76\x87", 8); /* the specification's own example */
}

static void test_answers(void **state)
{
    (void)state;
    frame_answer a;
    static const char whole[] = "\1\2\0\0\0\x09\x11\3\6\xae\x41\x56\x52\x43\x40";
    assert_int_equal(READ(&tcp_ask, whole, &a), FRAME_WHOLE);
    assert_int_equal(a.taken, 15);
    assert_memory_equal(a.data, "\xae\x41\x56\x52\x43\x40", 6);
    for (size_t n = 0; n < sizeof whole - 1; n++)
        assert_int_equal(frame_read(&tcp_ask, (const uint8_t *)whole, n, &a), FRAME_MORE);
    assert_int_equal(READ(&rtu_ask, "\x11\3\6\xae\x41\x56\x52\x43\x40\x49\xad", &a), FRAME_WHOLE);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\0\0\3\x11\x83\2", &a), FRAME_EXCEPTION);
    assert_string_equal(frame_exception_name(a.exception), "illegal data address");
    assert_string_equal(frame_exception_name(99), "unknown exception");
}

static void test_other_and_bad_answers(void **state)
{
    (void)state;
    frame_answer a;
    assert_int_equal(READ(&tcp_ask, "\1\1\0\0\0\x09\x11\3\6\xae\x41\x56\x52\x43\x40", &a), FRAME_OTHER);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\0\0\x09\x12\3\6\xae\x41\x56\x52\x43\x40", &a), FRAME_BAD);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\0\0\x09\x11\4\6\xae\x41\x56\x52\x43\x40", &a), FRAME_BAD);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\0\0\7\x11\3\4\xae\x41\x56\x52", &a), FRAME_BAD);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\1\0\x09\x11", &a), FRAME_LOST);
    assert_int_equal(READ(&tcp_ask, "\1\2\0\0\xff\xff\x11", &a), FRAME_LOST);
    assert_int_equal(READ(&rtu_ask, "\x11\3\6\xae\x41\x56\x52\x43\x40\x49\xae", &a), FRAME_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_other_and_bad_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
