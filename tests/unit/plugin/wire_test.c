/* What travels between host and cell: frames, arenas, messages; and that nothing malformed gets through. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "support/check.h"
#include "wire/arena.h"
#include "wire/frame.h"
#include "wire/message.h"

static void a_frame_reads_back_as_it_was_written(void **state)
{
    (void)state;
    _Alignas(8) uint8_t buffer[256];
    frame_writer w = frame_writer_buffer(buffer, sizeof buffer);
    frame_put_text(&w, FRAME_NAME, "pump");
    frame_put_text(&w, FRAME_TRACE, NULL);
    frame_put(&w, FRAME_NUMBER, 42, NULL, 0);
    frame_put(&w, FRAME_CURSOR, 0, "12345678", 8);
    assert_false(w.failed);
    frame_reader r = frame_reader_make(buffer, w.len);
    frame_item item;
    assert_true(frame_peek(&r, &item) && item.tag == FRAME_NAME);
    assert_false(frame_take(&r, FRAME_TRACE, &item));
    assert_true(frame_take(&r, FRAME_NAME, &item));
    assert_string_equal(frame_item_text(&item), "pump");
    assert_true(frame_take(&r, FRAME_NUMBER, &item));
    assert_int_equal(item.aux, 42);
    assert_null(frame_item_text(&item));
    assert_true(frame_next(&r, &item));
    assert_int_equal(item.len, 8);
    assert_null(frame_item_text(&item)); /* no NUL at its end */
    assert_false(frame_next(&r, &item));
    assert_false(r.broken);
}

static void a_frame_that_does_not_fit_fails_and_stays_failed(void **state)
{
    (void)state;
    _Alignas(8) uint8_t buffer[48];
    for (size_t len = 31; len <= 33; len++) { /* a header of 16 and 32 bytes of room */
        frame_writer w = frame_writer_buffer(buffer, sizeof buffer);
        frame_put(&w, FRAME_BODY, 0, "0123456789abcdef0123456789abcdefX", len);
        assert_int_equal(w.failed, len > 32);
        frame_put(&w, FRAME_NUMBER, 1, NULL, 0);
        assert_true(w.failed);
    }
}

static void damaged_frames_never_read_outside(void **state)
{
    (void)state;
    random_seeded seeded;
    uint64_t seed = test_seed();
    seeded.state = seed;
    for (int round = 0; round < 20000; round++) {
        size_t len = random_seeded_next(&seeded) % 97;
        uint64_t *bytes = malloc(len + 8); /* exactly as long as it says: ASan sees the rest */
        uint8_t *frame = (uint8_t *)bytes;
        for (size_t i = 0; i < len; i++)
            frame[i] = (uint8_t)(random_seeded_next(&seeded) % 5 ? 0 : random_seeded_next(&seeded));
        frame_reader r = frame_reader_make(frame, len);
        frame_item item;
        size_t seen = 0;
        while (frame_next(&r, &item)) {
            assert_true((const uint8_t *)item.data + item.len <= frame + len);
            seen += 16 + item.len;
        }
        assert_true(seen <= len);
        free(bytes);
    }
}

static void lengths_that_overflow_are_refused(void **state)
{
    (void)state;
    uint64_t head[3] = {0};
    for (uint64_t len = UINT64_MAX; len > UINT64_MAX - 20; len--) {
        head[1] = len;
        frame_reader r = frame_reader_make(head, sizeof head);
        frame_item item;
        assert_false(frame_next(&r, &item));
        assert_true(r.broken);
    }
}

static void an_arena_grows_up_to_its_limit(void **state)
{
    (void)state;
    wire_arena a = {.limit = 3 * WIRE_ARENA_FIRST, .fd = -1};
    assert_true(wire_arena_room(&a, 1, 0));
    assert_int_equal(a.size, WIRE_ARENA_FIRST);
    memcpy(a.data, "kept", 5);
    assert_true(wire_arena_room(&a, a.limit - 1, 5));
    assert_true(wire_arena_room(&a, a.limit, 5));
    assert_string_equal((const char *)a.data, "kept");
    assert_false(wire_arena_room(&a, a.limit + 1, 5));
    assert_string_equal((const char *)a.data, "kept");
    wire_arena_drop(&a);
}

static void only_sealed_arenas_of_the_announced_size_are_mapped(void **state)
{
    (void)state;
    wire_arena writer = {.limit = WIRE_ARENA_TO_HOST_MAX, .fd = -1}, reader = {.fd = -1};
    assert_true(wire_arena_room(&writer, 100, 0));
    memcpy(writer.data, "hello", 6);
    assert_true(wire_arena_map(&reader, dup(writer.fd), writer.size, WIRE_ARENA_TO_HOST_MAX));
    assert_string_equal((const char *)reader.data, "hello");
    writer.data[0] = 'j'; /* the writer may still write; that is why the host copies */
    assert_string_equal((const char *)reader.data, "jello");
    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, writer.fd, 0) == MAP_FAILED);
    assert_int_equal(ftruncate(writer.fd, 0), -1);
    assert_false(wire_arena_map(&reader, dup(writer.fd), writer.size - 1, WIRE_ARENA_TO_HOST_MAX));
    assert_false(wire_arena_map(&reader, dup(writer.fd), writer.size, writer.size - 1));
    int open_one = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(open_one, 4096), 0);
    assert_false(wire_arena_map(&reader, open_one, 4096, WIRE_ARENA_TO_HOST_MAX));
    assert_false(wire_arena_map(&reader, open("/dev/null", O_RDONLY), 4096, WIRE_ARENA_TO_HOST_MAX));
    assert_string_equal((const char *)reader.data, "jello"); /* a refused one leaves the old in place */
    wire_arena_drop(&writer);
    wire_arena_drop(&reader);
}

static void messages_are_checked(void **state)
{
    (void)state;
    int ends[2];
    static wire_message in;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    wire_header head = wire_header_make(WIRE_LOG, 3, 9);
    head.body_len = 5;
    assert_true(wire_send(ends[0], &head, "hello", ends[0], 0));
    assert_int_equal(wire_receive(ends[1], &in, 0), WIRE_ARRIVED);
    assert_int_equal(in.header.sequence, 9);
    assert_memory_equal(in.body, "hello", 5);
    assert_true(in.fd >= 0 && fcntl(in.fd, F_GETFD) == FD_CLOEXEC);
    close(in.fd);
    assert_int_equal(wire_receive(ends[1], &in, MSG_DONTWAIT), WIRE_NOTHING);

    wire_header bad[4] = {head, head, head, head};
    bad[0].magic++;
    bad[1].version++;
    bad[2].body_len = 4; /* one more than it says */
    bad[3].body_len = WIRE_BODY_MAX + 1;
    static uint8_t body[WIRE_BODY_MAX + 1];
    for (int i = 0; i < 4; i++) {
        struct iovec parts[2] = {{&bad[i], sizeof bad[i]}, {body, i == 3 ? WIRE_BODY_MAX + 1 : 5}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        assert_true(sendmsg(ends[0], &message, 0) > 0);
        assert_int_equal(wire_receive(ends[1], &in, 0), WIRE_BROKEN);
    }
    head.body_len = WIRE_BODY_MAX;
    assert_true(wire_send(ends[0], &head, body, -1, 0));
    assert_int_equal(wire_receive(ends[1], &in, 0), WIRE_ARRIVED);
    assert_true(send(ends[0], &head, sizeof head - 1, 0) > 0);
    assert_int_equal(wire_receive(ends[1], &in, 0), WIRE_BROKEN);
    close(ends[0]);
    assert_int_equal(wire_receive(ends[1], &in, 0), WIRE_ENDED);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_reads_back_as_it_was_written),
        cmocka_unit_test(a_frame_that_does_not_fit_fails_and_stays_failed),
        cmocka_unit_test(damaged_frames_never_read_outside),
        cmocka_unit_test(lengths_that_overflow_are_refused),
        cmocka_unit_test(an_arena_grows_up_to_its_limit),
        cmocka_unit_test(only_sealed_arenas_of_the_announced_size_are_mapped),
        cmocka_unit_test(messages_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
