/* The cursor of Kafka: what it brings back, what is none, and its limit. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "position.h"

static char cursor[POSITION_CURSOR_MAX];

static pst_bytes bytes_of(const char *text)
{
    return (pst_bytes){text, strlen(text)};
}

static void test_brings_back_what_was_read(void **state)
{
    position p = {0}, again = {0};
    (void)state;
    assert_true(position_open(&p, "cluster", "group", (pst_bytes){0}));
    assert_true(position_set(&p, "readings", 0, 1));
    assert_true(position_set(&p, "readings", INT32_MAX, INT64_MAX));
    assert_true(position_set(&p, "events", 0, 7));
    assert_true(position_set(&p, "events", 0, 8));
    assert_int_equal(p.n, 3);
    size_t len = position_cut(&p, cursor);
    assert_true(position_open(&again, "cluster", "group", (pst_bytes){cursor, len}));
    assert_int_equal(again.n, 3);
    assert_int_equal(position_next(&again, "readings", 0), 1);
    assert_true(position_next(&again, "readings", INT32_MAX) == INT64_MAX);
    assert_int_equal(position_next(&again, "events", 0), 8);
    assert_int_equal(position_next(&again, "events", 1), -1);
    position_free(&p);
    position_free(&again);
}

static void test_offsets_are_those_of_the_cursor(void **state)
{
    position p = {0};
    (void)state;
    assert_true(position_open(&p, "cluster", "group", (pst_bytes){0}));
    rd_kafka_topic_partition_list_t *all =
        position_offsets(&p, bytes_of("kafka1\ncluster\ngroup\nreadings 2 40\nevents 0 7\n"));
    assert_non_null(all);
    assert_int_equal(all->cnt, 2);
    assert_string_equal(all->elems[0].topic, "readings");
    assert_int_equal(all->elems[0].partition, 2);
    assert_int_equal(all->elems[0].offset, 40);
    rd_kafka_topic_partition_list_destroy(all);
    all = position_offsets(&p, bytes_of("kafka1\ncluster\nothers\nreadings 2 40\n"));
    assert_int_equal(all->cnt, 0);
    rd_kafka_topic_partition_list_destroy(all);
    assert_null(position_offsets(&p, bytes_of("kafka1\ncluster\ngroup\nreadings 2\n")));
    assert_null(position_offsets(&p, bytes_of("else")));
    position_free(&p);
}

/* Numbers of another cluster or group mean nothing here. */
static void test_of_another_place_counts_for_nothing(void **state)
{
    position p = {0};
    (void)state;
    const char *const others[] = {"kafka1\nelsewhere\ngroup\nreadings 0 9\n",
                                  "kafka1\ncluster\nothers\nreadings 0 9\n",
                                  "kafka1\ncluster\ngroup2\nreadings 0 9\n", "kafka1\n\n\nreadings 0 9\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(position_open(&p, "cluster", "group", bytes_of(others[i])));
        assert_int_equal(p.n, 0);
    }
    position_free(&p);
}

static void test_nonsense_is_refused(void **state)
{
    position p = {0};
    (void)state;
    const char *const heads[] = {"else", "kafka1", "kafka1\n", "kafka1\ncluster\n",
                                 "kafka12\ncluster\ngroup\n"};
    const char *const lines[] = {"readings",
                                 "readings\n",
                                 "readings 1\n",
                                 "readings 1\n2 3\n",
                                 "readings 1 2",
                                 "readings  1 2\n",
                                 "readings 1 2 3\n",
                                 "readings -1 2\n",
                                 "readings 1 -2\n",
                                 "readings +1 2\n",
                                 "readings 1 x\n",
                                 " 1 2\n",
                                 "\n",
                                 "readings 2147483648 2\n",
                                 "readings 1 9223372036854775808\n"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_false(position_open(&p, "cluster", "group", bytes_of(heads[i])));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        snprintf(cursor, sizeof cursor, "kafka1\ncluster\ngroup\nevents 0 7\n%s", lines[i]);
        assert_false(position_open(&p, "cluster", "group", bytes_of(cursor)));
        assert_null(position_offsets(&p, bytes_of(cursor)));
    }
    assert_false(position_open(&p, "cluster", "group", (pst_bytes){"kafka1\ncluster\ngroup\n\0", 22}));
    position_free(&p);
}

/* What a cluster calls itself is as long as it likes, and may hold anything. */
static void test_names_stay_a_line(void **state)
{
    char name[POSITION_NAME_MAX + 2];
    position p = {0};
    (void)state;
    for (size_t len = POSITION_NAME_MAX - 1; len <= POSITION_NAME_MAX + 1; len++) {
        memset(name, 'c', len);
        name[len] = '\0';
        name[1] = '\n';
        assert_true(position_open(&p, name, name, (pst_bytes){0}));
        assert_true(position_set(&p, "readings", 0, 9));
        size_t cut = position_cut(&p, cursor);
        assert_int_equal(strlen(p.place), 2 * (len > POSITION_NAME_MAX ? POSITION_NAME_MAX : len) + 2);
        assert_true(position_open(&p, name, name, (pst_bytes){cursor, cut}));
        assert_int_equal(position_next(&p, "readings", 0), 9);
    }
    position_free(&p);
}

/* A table that is a byte too long has no cursor: half of one would read records twice. */
static void test_limit(void **state)
{
    enum { LINE = 249 + 5 };
    char topic[250], last[250];
    (void)state;
    for (int more = -1; more <= 1; more++) {
        position p = {0}, again = {0};
        size_t wanted = POSITION_CURSOR_MAX - 1 + (size_t)more, len;
        assert_true(position_open(&p, "c", "g", (pst_bytes){0}));
        memset(topic, 't', 249);
        topic[249] = '\0';
        for (len = sizeof "kafka1\nc\ng\n" - 1; wanted - len > (size_t)2 * LINE; len += LINE) {
            snprintf(topic, 4, "%03zu", p.n);
            topic[3] = 't';
            assert_true(position_set(&p, topic, 0, 1));
        }
        size_t half = (wanted - len) / 2; /* two lines make up the rest */
        snprintf(last, sizeof last, "%0*d", (int)half - 5, 1);
        assert_true(position_set(&p, last, 0, 1));
        snprintf(last, sizeof last, "%0*d", (int)(wanted - len - half) - 5, 2);
        assert_true(position_set(&p, last, 0, 1));
        size_t cut = position_cut(&p, cursor);
        assert_int_equal(cut, more > 0 ? 0 : wanted);
        if (cut) {
            assert_true(position_open(&again, "c", "g", (pst_bytes){cursor, cut}));
            assert_int_equal(again.n, p.n);
        }
        position_free(&p);
        position_free(&again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brings_back_what_was_read),
        cmocka_unit_test(test_offsets_are_those_of_the_cursor),
        cmocka_unit_test(test_of_another_place_counts_for_nothing),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_names_stay_a_line),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
