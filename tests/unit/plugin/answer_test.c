/* A cell's answer is read as if an attacker had written it: damaged frames end in a status, never outside the
 * memory. */
#include "plugin/answer.h"

#include <string.h>

#include "base/arena.h"
#include "base/random.h"
#include "penstock/batch.h"
#include "support/check.h"

static size_t good_frame(uint8_t *out, size_t cap)
{
    static const int32_t offsets[] = {0, 1, 3, 6};
    static const int64_t times[] = {1, 2, 3};
    static const int32_t dates[] = {0, 10, 20, 30};
    struct {
        frame_batch shape;
        char name[8];
    } head = {.shape = {.n_rows = 3, .n_columns = 3}};
    frame_writer w = frame_writer_buffer(out, cap);
    frame_put_text(&w, FRAME_STREAM, "s");
    frame_put(&w, FRAME_CURSOR, 0, "17", 2);
    frame_put(&w, FRAME_REJECT, 0, "bad", 3);
    frame_put_text(&w, FRAME_WHERE, "x");
    frame_put_text(&w, FRAME_REASON, "y");
    frame_put(&w, FRAME_BATCH, 0, &head, sizeof head);
    frame_put(&w, FRAME_COLUMN, PST_TEXT, "word", 5);
    frame_put(&w, FRAME_VALID, 0, "\5", 1);
    frame_put(&w, FRAME_VALUES, 0, offsets, sizeof offsets);
    frame_put(&w, FRAME_DATA, 0, "a\xc3\xa9xyz", 6);
    frame_put(&w, FRAME_COLUMN, PST_TIME, "time", 5);
    frame_put(&w, FRAME_VALID, 0, NULL, 0);
    frame_put(&w, FRAME_VALUES, 0, times, sizeof times);
    frame_put(&w, FRAME_COLUMN, PST_DATE, "day", 4);
    frame_put(&w, FRAME_VALID, 0, NULL, 0);
    frame_put(&w, FRAME_VALUES, 0, dates, sizeof dates);
    frame_put(&w, FRAME_DATA, 0, "2026-01-012026-01-022026-01-03", 30);
    assert_false(w.failed);
    return w.len;
}

static status_class read_copy(const uint8_t *frame, size_t len, uint32_t max_rows, instance_batch **b)
{
    status st;
    uint8_t *copy = memory_alloc(len + 1);
    memcpy(copy, frame, len);
    answer_memory *m = answer_memory_make(copy, len);
    frame_reader r = answer_reader(m);
    status_class class = answer_batch(m, &r, max_rows, b, &st);
    answer_memory_release(m); /* the batch holds on to it */
    return class;
}

static void a_good_answer_is_read(void **state)
{
    (void)state;
    _Alignas(8) uint8_t frame[1024];
    instance_batch *b;
    size_t len = good_frame(frame, sizeof frame);
    assert_int_equal(read_copy(frame, len, 3, &b), STATUS_OK);
    assert_string_equal(b->stream, "s");
    assert_int_equal(b->n_rejects, 1);
    assert_int_equal(b->rows.n_columns, 3);
    assert_int_equal(((const int32_t *)b->rows.columns[2].values)[2], 20456);
    instance_batch_free(b);
    assert_int_equal(read_copy(frame, len, 2, &b), STATUS_LIMIT);
    assert_null(b);
}

static void every_shortened_answer_is_refused(void **state)
{
    (void)state;
    _Alignas(8) uint8_t frame[1024];
    instance_batch *b;
    size_t len = good_frame(frame, sizeof frame);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(read_copy(frame, cut, 3, &b), STATUS_OK);
}

static void damaged_answers_do_no_harm(void **state)
{
    (void)state;
    _Alignas(8) uint8_t frame[1024];
    random_seeded seeded = {.state = test_seed()};
    unsigned refused = 0;
    for (int round = 0; round < 30000; round++) {
        size_t len = good_frame(frame, sizeof frame);
        for (uint64_t hits = 1 + random_seeded_next(&seeded) % 3; hits; hits--)
            frame[random_seeded_next(&seeded) % len] = (uint8_t)random_seeded_next(&seeded);
        instance_batch *b;
        if (read_copy(frame, len, 1000, &b) != STATUS_OK) {
            refused++;
            continue;
        }
        for (uint32_t i = 0; i < b->rows.n_columns; i++) { /* what was accepted can be walked */
            const column *c = &b->rows.columns[i];
            for (uint32_t row = 0; row < b->rows.n_rows && c->offsets; row++)
                assert_true(
                    utf8_valid(c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row])));
        }
        instance_batch_free(b);
    }
    assert_true(refused > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_read),
        cmocka_unit_test(every_shortened_answer_is_refused),
        cmocka_unit_test(damaged_answers_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
