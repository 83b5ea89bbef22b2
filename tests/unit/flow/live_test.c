/* The live hub: whose id an event carries while writers are apart, what a held watch gets, who is let go. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/batch_builder.h"
#include "base/text.h"
#include "flow/live.h"

static const datastore_plan plan = {.names = "a", .names_len = 2};

typedef struct heard {
    text events;
    const char *why;
    bool ended, deaf;
} heard;

static bool on_events(void *arg, const char *events, size_t len)
{
    heard *h = arg;
    text_add_n(&h->events, events, len);
    return !h->deaf;
}

static void on_end(void *arg, const char *why)
{
    heard *h = arg;
    h->ended = true;
    h->why = why;
}

typedef struct stand {
    char *folder;
    journal *journal;
    lane_pool *pool;
    live_hub *hub;
    arena *arena;
} stand;

static stand stand_open(void)
{
    status st;
    stand s = {.folder = test_folder(), .pool = lane_pool_create(2), .arena = arena_create(0)};
    char path[512];
    snprintf(path, sizeof path, "%s/journal", s.folder);
    journal_settings settings = {.folder = path, .size_bytes = 8 << 20};
    if (journal_open(&settings, &s.journal, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    s.hub = live_create(s.pool, s.journal, 2);
    return s;
}

static void stand_close(stand *s)
{
    live_free(s->hub);
    lane_pool_free(s->pool);
    journal_close(s->journal);
    arena_free(s->arena);
    test_folder_remove(s->folder);
}

/* One row in the journal, as the writer of that shard reads it. */
static write_record append(stand *s, uint16_t shard, int64_t value)
{
    status st;
    batch_builder *b = batch_builder_create((const column_type[]){COLUMN_INTEGER}, 1);
    batch_builder_int64(b, 0, value);
    batch_builder_end_row(b);
    batch rows = batch_builder_freeze(b);
    journal_entry e = {
        .kind = JOURNAL_ROWS, .wid = 7, .store = "s", .shard = shard, .received_us = 1, .count_received = 1};
    e.rows = &rows;
    journal_submission submission = {.entries = &e, .n_entries = 1};
    assert_int_equal(journal_submit_wait(s->journal, &submission, &st), STATUS_OK);
    batch_builder_free(b);
    journal_stream stream;
    const journal_record *records;
    size_t n;
    assert_true(journal_stream_find(s->journal, 7, "s", JOURNAL_LIVE, shard, &stream));
    assert_int_equal(journal_read(s->journal, stream.id, stream.last_seq - 1, 1, s->arena, &records, &n, &st),
                     STATUS_OK);
    return (write_record){.record = &records[0], .store = &plan, .rows = records[0].rows, .stored = 1};
}

static void commit(stand *s, const write_record *r)
{
    live_push(s->hub, r);
    journal_trim(s->journal, r->record->stream, r->record->seq);
}

static live_watch *watch(stand *s, heard *h, const char *owner)
{
    status st;
    live_watch *w;
    live_wish wish = {.wid = 7, .store = "s", .owner = owner, .send = on_events, .end = on_end};
    if (live_open(s->hub, &wish, &w, &st) != STATUS_OK)
        return NULL;
    live_attach(w, h);
    return w;
}

/* Everything that was pushed has been handed on: the hub's lane is closed with it. */
static void close_and_expect(stand *s, heard *h, const char *want)
{
    live_hub *hub = s->hub;
    s->hub = live_create(s->pool, s->journal, 2);
    live_settle(hub);
    if (strcmp(text_or_empty(&h->events), want) != 0)
        fail_msg("%s\ninstead of\n%s", text_or_empty(&h->events), want);
    live_free(hub);
    text_free(&h->events);
}

static char *event_of(const write_record *r, int64_t value, const write_record *mark)
{
    text t = {0};
    text_add(&t, "event: row\n");
    if (mark)
        text_printf(&t, "id: %lld\n", (long long)mark->record->first_row);
    text_printf(&t, "data: {\"a\":%lld,\"_seq\":%lld,\"_received\":\"1970-01-01T00:00:00.000001Z\"}\n\n",
                (long long)value, (long long)r->record->first_row);
    return text_take(&t);
}

/* A view of "s" that is live; what it hears of live_settled. */
static bool is_ended_by_settling(stand *s)
{
    heard h = {.ended = false};
    text held = {0};
    live_watch *w = watch(s, &h, "one");
    assert_false(live_take(w, &held));
    live_settled(s->hub, 8, "s");
    live_settle(s->hub);
    assert_false(h.ended); /* another workspace's */
    live_settled(s->hub, 7, "s");
    live_settle(s->hub);
    bool ended = h.ended;
    assert_true(!ended || strcmp(h.why, "restarted") == 0);
    live_restart(s->hub, 7, "s");
    live_settle(s->hub);
    assert_true(h.ended);
    text_free(&h.events);
    text_free(&held);
    return ended;
}

/* A commit that may still be carried out ends the views when that is noticed, and once more when it is over:
 * who came back in between has not seen it. */
static void a_commit_in_doubt_ends_views_twice(void **state)
{
    (void)state;
    stand s = stand_open();
    heard h = {.ended = false};
    text held = {0};
    assert_false(is_ended_by_settling(&s)); /* nothing is in doubt */
    live_watch *w = watch(&s, &h, "one");
    assert_false(live_take(w, &held));
    live_unsettled(s.hub, 7, "s");
    live_settle(s.hub);
    assert_true(h.ended);
    assert_string_equal(h.why, "restarted");
    live_unsettled(s.hub, 7, "s"); /* and again, while nobody watches */
    live_unsettled(s.hub, 9, "s"); /* stays in doubt */
    assert_true(is_ended_by_settling(&s));
    assert_false(is_ended_by_settling(&s));
    text_free(&h.events);
    text_free(&held);
    stand_close(&s);
}

static void an_id_is_given_when_nothing_below_it_is_to_come(void **state)
{
    (void)state;
    stand s = stand_open();
    heard h = {.ended = false};
    text held = {0}, want = {0};
    live_watch *w = watch(&s, &h, "one");
    assert_false(live_take(w, &held)); /* live */
    write_record first = append(&s, 0, 10), second = append(&s, 1, 20), third = append(&s, 1, 30);
    commit(&s, &second); /* the other writer's row, with the lower _seq, is still to come: no id */
    commit(&s, &first);  /* now the third is: the id goes as far as this row */
    commit(&s, &third);
    char *events[] = {event_of(&second, 20, NULL), event_of(&first, 10, &first),
                      event_of(&third, 30, &third)};
    for (int i = 0; i < 3; i++) {
        text_add(&want, events[i]);
        free(events[i]);
    }
    close_and_expect(&s, &h, want.data);
    assert_string_equal(h.why, "stopped");
    text_free(&want);
    text_free(&held);
    stand_close(&s);
}

static void a_held_watch_gets_what_came_meanwhile(void **state)
{
    (void)state;
    stand s = stand_open();
    heard h = {.ended = false};
    text held = {0};
    live_watch *w = watch(&s, &h, "one");
    write_record first = append(&s, 0, 10);
    commit(&s, &first);
    live_settle(s.hub);
    assert_true(live_take(w, &held));
    char *want = event_of(&first, 10, &first);
    assert_string_equal(held.data, want);
    free(want);
    assert_false(live_take(w, &held));
    assert_int_equal(h.events.len, 0);
    text_free(&held);
    stand_close(&s);
    assert_true(h.ended);
}

static void who_does_not_take_and_whose_rows_are_not_known_are_let_go(void **state)
{
    (void)state;
    stand s = stand_open();
    heard deaf = {.deaf = true}, fine = {.ended = false};
    text held = {0};
    assert_false(live_take(watch(&s, &deaf, "one"), &held));
    assert_false(live_take(watch(&s, &fine, "two"), &held));
    write_record first = append(&s, 0, 10);
    commit(&s, &first);
    live_settle(s.hub);
    assert_true(deaf.ended && !deaf.why && !fine.ended);
    write_record second = append(&s, 0, 20);
    second.dead = 1; /* one of its rows is not in the table */
    commit(&s, &second);
    live_settle(s.hub);
    assert_true(fine.ended);
    assert_string_equal(fine.why, "restarted");
    assert_int_equal(live_watches(s.hub), 0);
    text_free(&deaf.events);
    text_free(&fine.events);
    text_free(&held);
    stand_close(&s);
}

static void rows_that_are_computed_are_told(void **state)
{
    (void)state;
    stand s = stand_open();
    heard h = {.ended = false};
    text held = {0};
    int64_t value = 5;
    column a = {.type = COLUMN_INTEGER, .values = &value};
    metric_result now = {.rows = {1, 1, &a}, .names = (const char *const[]){"a"}};
    assert_false(live_watched(s.hub, 7, "s"));
    assert_false(live_watched(NULL, 7, "s"));
    live_tell(s.hub, 7, "s", &now, "1-2-3"); /* nobody there */
    assert_false(live_take(watch(&s, &h, "one"), &held));
    assert_true(live_watched(s.hub, 7, "s"));
    assert_false(live_watched(s.hub, 7, "featurestore:s"));
    live_tell(s.hub, 7, "s", &now, "1-2-3");
    value = 6; /* it was copied */
    live_settle(s.hub);
    assert_string_equal(text_or_empty(&h.events), "event: row\nid: 1-2-3\ndata: {\"a\":5}\n\n");
    live_restart(s.hub, 7, "s");
    live_settle(s.hub);
    assert_true(h.ended);
    assert_string_equal(h.why, "restarted");
    text_free(&h.events);
    text_free(&held);
    stand_close(&s);
}

static void limits_hold_exactly(void **state)
{
    (void)state;
    stand s = stand_open();
    heard h = {.ended = false};
    for (int i = 0; i < LIVE_WORKSPACE_WATCHES_MAX; i++) {
        char owner[20];
        snprintf(owner, sizeof owner, "owner %d", i / LIVE_KEY_WATCHES_MAX);
        live_watch *w = watch(&s, &h, owner);
        assert_non_null(w);
        if (i + 1 == LIVE_KEY_WATCHES_MAX)
            assert_null(watch(&s, &h, owner));
        text none = {0};
        assert_false(live_take(w, &none));
    }
    assert_null(watch(&s, &h, "another"));
    stand_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_in_doubt_ends_views_twice),
        cmocka_unit_test(an_id_is_given_when_nothing_below_it_is_to_come),
        cmocka_unit_test(a_held_watch_gets_what_came_meanwhile),
        cmocka_unit_test(who_does_not_take_and_whose_rows_are_not_known_are_let_go),
        cmocka_unit_test(rows_that_are_computed_are_told),
        cmocka_unit_test(limits_hold_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
