/* Hostile columns: sizes, offsets, text and times that lie. */
#include "plugin/batch_check.h"

#include <string.h>

#include "base/utc.h"
#include "plugin/supervise.h"
#include "support/check.h"

static const char eight[8] = "abcdefgh";

static checked_column text_column(const int32_t *offsets, uint32_t n_rows, const char *data, size_t len)
{
    return (checked_column){.name = "c",
                            .type = PST_TEXT,
                            .n_rows = n_rows,
                            .values = {.data = offsets, .len = ((size_t)n_rows + 1) * 4},
                            .data = {.data = data, .len = len}};
}

static status_class check(checked_column c)
{
    status st;
    return batch_check_column(&c, &st);
}

static void offsets_must_be_in_order_and_inside(void **state)
{
    (void)state;
    static const struct {
        int32_t offsets[4];
        bool fine;
    } cases[] = {
        {{0, 2, 4, 8}, true},          {{0, 0, 0, 0}, true},   {{3, 3, 5, 8}, true},
        {{8, 8, 8, 8}, true},          {{0, 2, 4, 9}, false},  {{0, 9, 9, 9}, false},
        {{-1, 0, 1, 2}, false},        {{0, 4, 2, 8}, false},  {{0, INT32_MAX, 8, 8}, false},
        {{0, INT32_MIN, 8, 8}, false}, {{0, 8, 8, -1}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(check(text_column(cases[i].offsets, 3, eight, 8)) == STATUS_OK, cases[i].fine);
    static const int32_t none[] = {0};
    assert_int_equal(check(text_column(none, 0, NULL, 0)), STATUS_OK);
}

static void sizes_must_fit_the_rows(void **state)
{
    (void)state;
    static const uint64_t values[4];
    static const struct {
        pst_type type;
        size_t right;
    } fixed[] = {{PST_BOOLEAN, 2}, {PST_INT32, 36}, {PST_INTEGER, 72},
                 {PST_NUMBER, 72}, {PST_TIME, 72},  {PST_TEXT, 40}};
    uint64_t zeros[16] = {0};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        for (int off = -1; off <= 1; off++) {
            checked_column c = {.name = "c",
                                .type = fixed[i].type,
                                .n_rows = 9,
                                .values = {.data = zeros, .len = (size_t)((int)fixed[i].right + off)}};
            assert_int_equal(check(c) == STATUS_OK, off == 0);
        }
    for (size_t bitmap = 0; bitmap <= 3; bitmap++) { /* none, or two bytes for nine rows */
        checked_column c = {.name = "c",
                            .type = PST_BOOLEAN,
                            .n_rows = 9,
                            .valid = {.data = values, .len = bitmap},
                            .values = {.data = zeros, .len = 2}};
        assert_int_equal(check(c) == STATUS_OK, bitmap == 0 || bitmap == 2);
    }
    checked_column huge = {
        .name = "c", .type = PST_INTEGER, .n_rows = UINT32_MAX, .values = {.data = zeros, .len = 128}};
    assert_int_equal(check(huge), STATUS_INVALID);
    huge.type = PST_TEXT;
    assert_int_equal(check(huge), STATUS_INVALID);
    huge.type = 0;
    assert_int_equal(check(huge), STATUS_INVALID);
    huge.type = PST_DECIMAL + 1;
    assert_int_equal(check(huge), STATUS_INVALID);
}

static void text_must_be_utf8_value_by_value(void **state)
{
    (void)state;
    static const int32_t whole[] = {0, 3}, split[] = {0, 2, 3}, before[] = {1, 3};
    assert_int_equal(check(text_column(whole, 1, "a\xc3\xa9", 3)), STATUS_OK);
    assert_int_equal(check(text_column(split, 2, "a\xc3\xa9", 3)), STATUS_INVALID);
    assert_int_equal(check(text_column(before, 1, "\xff\xc3\xa9", 3)),
                     STATUS_OK); /* what no offset reaches is not looked at */
    assert_int_equal(check(text_column(whole, 1, "a\xc3z", 3)), STATUS_INVALID);
    assert_int_equal(check(text_column(whole, 1, "a\0z", 3)), STATUS_INVALID);
    checked_column raw = text_column(whole, 1, "\xff\0z", 3);
    raw.type = PST_BINARY;
    assert_int_equal(check(raw), STATUS_INVALID);
    raw.raw = true;
    assert_int_equal(check(raw), STATUS_OK);
}

static void json_and_times_are_looked_at_unless_null(void **state)
{
    (void)state;
    static const int32_t offsets[] = {0, 2, 3};
    static const uint8_t second_null[] = {1, 0, 0, 0, 0, 0, 0, 0};
    checked_column json = text_column(offsets, 2, "{}]", 3);
    json.type = PST_JSON;
    assert_int_equal(check(json), STATUS_INVALID);
    json.valid = (frame_item){.data = second_null, .len = 1};
    assert_int_equal(check(json), STATUS_OK);

    static const int64_t limits[] = {UTC_MIN_US, UTC_MAX_US}, below[] = {UTC_MIN_US - 1, 0},
                         above[] = {0, UTC_MAX_US + 1}, least[] = {INT64_MIN, 0}, most[] = {INT64_MAX, 0};
    checked_column time = {.name = "t", .type = PST_TIME, .n_rows = 2, .values = {.data = limits, .len = 16}};
    assert_int_equal(check(time), STATUS_OK);
    time.values.data = below;
    assert_int_equal(check(time), STATUS_INVALID);
    time.values.data = least; /* the distances wrap */
    assert_int_equal(check(time), STATUS_INVALID);
    time.values.data = most;
    assert_int_equal(check(time), STATUS_INVALID);
    time.values.data = above;
    assert_int_equal(check(time), STATUS_INVALID);
    time.valid = (frame_item){.data = second_null, .len = 1};
    assert_int_equal(check(time), STATUS_OK);
}

static void the_back_off_doubles_to_its_longest(void **state)
{
    (void)state;
    supervisor s = {0};
    int64_t now = 0, expected = SUPERVISE_FIRST_US;
    supervise_death(&s, now, 7);
    assert_int_equal(supervise_wait_us(&s, now), 0);
    for (int death = 2; death < 20; death++) {
        now += SUPERVISE_WINDOW_US; /* far apart: no quarantine */
        supervise_death(&s, now, UINT64_MAX / (uint64_t)death);
        assert_false(s.quarantined);
        assert_in_range(supervise_wait_us(&s, now), expected - expected / 4, expected);
        expected = expected * 2 > SUPERVISE_LONGEST_US ? SUPERVISE_LONGEST_US : expected * 2;
    }
    supervise_success(&s);
    assert_int_equal(supervise_wait_us(&s, now), 0);
}

static void five_deaths_in_ten_minutes_are_quarantine(void **state)
{
    (void)state;
    for (int64_t span = SUPERVISE_WINDOW_US - 4; span <= SUPERVISE_WINDOW_US + 4; span += 4) {
        supervisor s = {0};
        for (int i = 0; i < SUPERVISE_DEATHS; i++) {
            supervise_success(&s);
            supervise_death(&s, 1000 + span / 4 * i, 0);
        }
        assert_int_equal(s.quarantined, span < SUPERVISE_WINDOW_US);
    }
}

/* Long text is checked in blocks: a fault at every place of them. */
static void a_fault_is_found_wherever_it_stands(void **state)
{
    (void)state;
    enum { LEN = 150 };
    char data[LEN];
    for (int at = 0; at < LEN; at++)
        for (int kind = 0; kind < 4; kind++) {
            static const char odd[] = {0, (char)0xff, (char)0xc3, 'x'};
            memset(data, 'a', sizeof data);
            if (at > 10)
                memcpy(data + 5, "\xc3\xa4", 2); /* also where the text is not plain */
            data[at] = odd[kind];
            const int32_t offsets[] = {0, LEN};
            assert_int_equal(check(text_column(offsets, 1, data, LEN)) == STATUS_OK, kind == 3);
        }
    memset(data, 'a', sizeof data);
    memcpy(data + 70, "\xc3\xa4", 2);
    for (int32_t cut = 0; cut <= LEN; cut++) {
        const int32_t offsets[] = {0, cut, LEN, LEN};
        assert_int_equal(check(text_column(offsets, 3, data, LEN)) == STATUS_OK, cut != 71);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_must_be_in_order_and_inside),
        cmocka_unit_test(sizes_must_fit_the_rows),
        cmocka_unit_test(text_must_be_utf8_value_by_value),
        cmocka_unit_test(json_and_times_are_looked_at_unless_null),
        cmocka_unit_test(the_back_off_doubles_to_its_longest),
        cmocka_unit_test(five_deaths_in_ten_minutes_are_quarantine),
        cmocka_unit_test(a_fault_is_found_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
