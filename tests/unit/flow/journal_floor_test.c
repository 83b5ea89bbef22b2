/* Up to which number a store is settled: below it nothing may come any more, in whatever order its streams
 * are committed. */
#include "journal_stage.h"

#include <stdio.h>

typedef struct sent {
    uint64_t seq;   /* in its stream */
    uint64_t first; /* number of its first row */
} sent;

static uint32_t stream_of(journal *j, const char *store, uint16_t shard, journal_lane lane)
{
    journal_stream s;
    assert_true(journal_stream_find(j, 1, store, lane, shard, &s));
    return s.id;
}

static sent put(journal *j, const char *store, uint16_t shard, journal_lane lane, uint32_t n)
{
    status st;
    size_t found;
    const journal_record *r;
    arena *a = arena_create(0);
    batch_builder *b = rows_of(n, 1);
    batch rows = batch_builder_freeze(b);
    journal_entry e = entry_of(&rows);
    e.store = store;
    e.shard = shard;
    e.lane = lane;
    assert_int_equal(journal_submit_wait(j, &(journal_submission){.entries = &e, .n_entries = 1}, &st),
                     STATUS_OK);
    batch_builder_free(b);
    assert_int_equal(
        journal_read(j, stream_of(j, store, shard, lane), 0, (size_t)1 << 30, a, &r, &found, &st), STATUS_OK);
    assert_true(found > 0);
    sent out = {r[found - 1].seq, (uint64_t)r[found - 1].first_row};
    arena_free(a);
    return out;
}

static journal_settled settled(journal *j, const char *store)
{
    status st;
    journal_settled out;
    if (journal_settled_get(j, 1, store, &out, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return out;
}

static void commit(journal *j, const char *store, uint16_t shard, journal_lane lane, const sent *upto)
{
    journal_trim(j, stream_of(j, store, shard, lane), upto->seq);
}

/* A writer is held while the others go on. */
static void a_number_is_settled_when_nothing_below_it_is_to_come(void **state)
{
    fixture *f = *state;
    uint64_t start = settled(f->j, "a").below;
    assert_false(settled(f->j, "a").waiting);
    sent first = put(f->j, "a", 0, JOURNAL_LIVE, 5), second = put(f->j, "a", 1, JOURNAL_LIVE, 3);
    sent other = put(f->j, "b", 0, JOURNAL_LIVE, 7), third = put(f->j, "a", 1, JOURNAL_LIVE, 2);
    assert_int_equal(first.first, start);
    assert_int_equal(settled(f->j, "a").below, first.first);
    assert_true(settled(f->j, "a").waiting);
    assert_int_equal(settled(f->j, "b").below, other.first);
    commit(f->j, "a", 1, JOURNAL_LIVE, &third); /* higher numbers are committed first */
    assert_int_equal(settled(f->j, "a").below, first.first);
    commit(f->j, "a", 0, JOURNAL_LIVE, &first);
    assert_int_equal(settled(f->j, "a").below,
                     third.first + 2); /* whatever else there is, is not of this store */
    assert_false(settled(f->j, "a").waiting);
    assert_int_equal(settled(f->j, "b").below, other.first);
    assert_true(second.first < third.first);
}

static void records_are_settled_one_by_one(void **state)
{
    fixture *f = *state;
    sent sent_in[4];
    for (int i = 0; i < 4; i++)
        sent_in[i] = put(f->j, "a", (uint16_t)(63 * (i % 2)), i < 2 ? JOURNAL_LIVE : JOURNAL_BACKLOG, 10);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(settled(f->j, "a").below, sent_in[i].first);
        commit(f->j, "a", (uint16_t)(63 * (i % 2)), i < 2 ? JOURNAL_LIVE : JOURNAL_BACKLOG, &sent_in[i]);
    }
    assert_int_equal(settled(f->j, "a").below, sent_in[3].first + 10);
}

static void it_is_the_same_after_a_restart(void **state)
{
    fixture *f = *state;
    sent first = put(f->j, "a", 0, JOURNAL_LIVE, 5), second = put(f->j, "a", 0, JOURNAL_LIVE, 5);
    commit(f->j, "a", 0, JOURNAL_LIVE, &first);
    wait_trimmed(f->j, 1);
    open_again(f);
    assert_int_equal(settled(f->j, "a").below, second.first);
    commit(f->j, "a", 0, JOURNAL_LIVE, &second);
    assert_int_equal(settled(f->j, "a").below, second.first + 5);
}

/* Rows that are refused have no numbers, and those of one that was dropped never come. */
static void rejected_rows_have_no_numbers(void **state)
{
    fixture *f = *state;
    status st;
    uint64_t start = settled(f->j, "a").below;
    journal_entry e = {.kind = JOURNAL_REJECTED,
                       .wid = 1,
                       .store = "a",
                       .received_us = 1774720799000000,
                       .count_received = 2,
                       .count_rejected = 2,
                       .payload = "12345678",
                       .payload_len = 8,
                       .payload_rows = 2};
    assert_int_equal(journal_submit_wait(f->j, &(journal_submission){.entries = &e, .n_entries = 1}, &st),
                     STATUS_OK);
    assert_int_equal(settled(f->j, "a").below, start);
    sent rows = put(f->j, "a", 0, JOURNAL_LIVE, 1);
    assert_int_equal(rows.first, start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_number_is_settled_when_nothing_below_it_is_to_come, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(records_are_settled_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_the_same_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rejected_rows_have_no_numbers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
