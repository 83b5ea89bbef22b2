/* The journal's commits: clients that share one, and commits that fail. */
#include "journal_stage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"

/* ---- many threads ---- */

typedef struct client {
    journal *j;
    uint32_t number;
    uint16_t shard;
    pthread_t thread;
} client;

#define CLIENT_RECORDS 60
#define COMPANY 12 /* more than there are: nobody waits for ever for those who do not come */

static void *client_run(void *arg)
{
    client *c = arg;
    for (uint32_t i = 0; i < CLIENT_RECORDS; i++) {
        batch_builder *b = rows_of(5, c->number * 1000 + i);
        batch rows = batch_builder_freeze(b);
        journal_entry e = entry_of(&rows);
        e.shard = c->shard;
        e.generation = c->number;
        journal_submission s = {.entries = &e, .n_entries = 1, .company = COMPANY};
        status st;
        if (journal_submit_wait(c->j, &s, &st) != STATUS_OK)
            abort();
        batch_builder_free(b);
    }
    return NULL;
}

static _Atomic unsigned appended_calls;

static void on_appended(void *arg, uint32_t stream, uint64_t rows)
{
    (void)arg;
    (void)stream;
    assert_true(rows > 0);
    appended_calls++;
}

static void clients_side_by_side(void **state)
{
    fixture *f = *state;
    enum { N = 8 };
    client clients[N];
    f->settings.on_appended = on_appended;
    open_again(f);
    for (uint32_t i = 0; i < N; i++) {
        clients[i] = (client){.j = f->j, .number = i, .shard = (uint16_t)(i % 2)};
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (uint32_t i = 0; i < N; i++)
        pthread_join(clients[i].thread, NULL);
    journal_stats stats = journal_stats_get(f->j);
    assert_int_equal(stats.records, N * CLIENT_RECORDS);
    assert_true(stats.commits < N * CLIENT_RECORDS);
    assert_true(appended_calls > 0);
    arena *a = arena_create(0);
    for (uint16_t shard = 0; shard < 2; shard++) {
        journal_stream s;
        const journal_record *r;
        size_t n;
        status st;
        uint32_t next[N] = {0};
        assert_true(journal_stream_find(f->j, 1, "sensor_data", JOURNAL_LIVE, shard, &s));
        assert_int_equal(journal_read(f->j, s.id, 0, (size_t)1 << 30, a, &r, &n, &st), STATUS_OK);
        assert_int_equal(n, N / 2 * CLIENT_RECORDS);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(r[i].seq, i + 1);
            check_rows(&r[i], 5, (int64_t)r[i].generation * 1000 + next[r[i].generation]++);
        }
    }
    arena_free(a);
}

/* ---- faults ---- */

#ifdef PENSTOCK_FAULTS
static _Atomic unsigned answers[STATUS_INTERNAL + 1];

static void count_answer(void *arg, status_class class, const status *st)
{
    (void)arg;
    (void)st;
    answers[class]++;
}

static void a_failed_commit_is_no_ack(void **state)
{
    fixture *f = *state;
    static const struct {
        journal_fault fault;
        status_class want;
        unsigned kept;
    } cases[] = {{JOURNAL_FAULT_DISK_FULL, STATUS_LIMIT, 0},
                 {JOURNAL_FAULT_MAP_FULL, STATUS_LIMIT, 0},
                 {JOURNAL_FAULT_SYNC, STATUS_UNAVAILABLE, 0},
                 {JOURNAL_FAULT_SYNC_LATE, STATUS_UNAVAILABLE, 1}};
    status st;
    unsigned rows = 0;
    for (size_t i = 0; i < 4; i++) {
        must_submit(f->j, 1, 1);
        rows++;
        journal_fault_set(f->j, cases[i].fault, 1);
        assert_int_equal(submit_rows(f->j, 1, 2, &st), cases[i].want);
        rows += cases[i].kept;
        while (journal_stats_get(f->j).failed)
            usleep(1000);
        must_submit(f->j, 1, 3);
        rows++;
        assert_int_equal(journal_backlog_get(f->j, 0, NULL).rows, rows);
    }
    assert_int_equal(journal_stats_get(f->j).reopened, 2);
    arena *a = arena_create(0);
    const journal_record *r;
    assert_int_equal(read_all(f->j, 0, a, &r), rows);
    for (unsigned i = 0; i < rows; i++) {
        assert_int_equal(r[i].seq, i + 1);
        assert_true(i == 0 || r[i].first_row == r[i - 1].first_row + 1);
    }
    arena_free(a);
}

static _Atomic int64_t disk_left;

static int64_t fake_free(const char *path, int64_t *total_out)
{
    (void)path;
    *total_out = 1000;
    return disk_left;
}

/* Of a disk of 1,000 bytes five per cent must be left. What is in the journal can still be taken out. */
static void rows_leave_some_of_the_disk_free(void **state)
{
    fixture *f = *state;
    status st;
    const disk_operations small = {.free_bytes = fake_free};
    f->settings.keep_free = 5;
    open_again(f);
    disk_left = 51;
    disk_use(&small);
    must_submit(f->j, 1, 1);
    disk_left = 50;
    must_submit(f->j, 1, 2);
    disk_left = 49;
    assert_int_equal(submit_rows(f->j, 1, 3, &st), STATUS_LIMIT);
    assert_non_null(strstr(st.text, "nearly full"));
    assert_false(journal_stats_get(f->j).failed);
    journal_trim(f->j, the_stream(f->j), 2);
    while (journal_backlog_get(f->j, 0, NULL).rows > 0)
        usleep(1000);
    disk_left = 50;
    must_submit(f->j, 1, 4);
    disk_use(NULL);
}

enum { TRIES_MAX = 1000 };

typedef struct stubborn { /* comes back at once whenever it is refused */
    journal *j;
    uint32_t stream;
    unsigned refused;
    _Atomic bool taken, ended;
} stubborn;

static void on_refused(void *arg, status_class class, const status *st)
{
    stubborn *s = arg;
    status ignored;
    batch none = {0};
    journal_entry e = entry_of(&none);
    journal_submission again = {.entries = &e, .n_entries = 1, .on_done = on_refused, .arg = s};
    (void)st;
    if (++s->refused == 2)
        journal_trim(s->j, s->stream, 2); /* meanwhile a writer has stored what waits */
    if (journal_backlog_get(s->j, 0, NULL).rows == 0)
        disk_left = 50; /* it was the journal itself that took the space */
    s->taken = class == STATUS_OK;
    if (class == STATUS_OK || s->refused == TRIES_MAX)
        s->ended = true;
    else if (journal_submit(s->j, &again, &ignored) != STATUS_OK)
        abort();
}

/* What waits goes out although somebody who finds no room always asks again. */
static void a_full_disk_empties_under_load(void **state)
{
    fixture *f = *state;
    const disk_operations small = {.free_bytes = fake_free};
    stubborn s;
    status refused;
    f->settings.keep_free = 5;
    open_again(f);
    disk_left = 50;
    disk_use(&small);
    must_submit(f->j, 1, 1);
    must_submit(f->j, 1, 2);
    s = (stubborn){.j = f->j, .stream = the_stream(f->j)};
    disk_left = 49;
    status_set(&refused, STATUS_LIMIT, "not yet");
    on_refused(&s, STATUS_LIMIT, &refused);
    while (!s.ended)
        usleep(1000);
    disk_use(NULL);
    assert_true(s.taken);
    assert_int_equal(journal_stats_get(f->j).trimmed_records, 2);
}

/* Never ahead of them: what was not taken is read again from the cursor before it. */
static void a_cursor_is_committed_with_its_rows(void **state)
{
    fixture *f = *state;
    status st;
    const void *data;
    size_t len;
    arena *a = arena_create(0);
    for (unsigned i = 0; i < 2; i++) {
        batch_builder *b = rows_of(1, i);
        batch rows = batch_builder_freeze(b);
        journal_entry e = entry_of(&rows);
        journal_cursor cursor = {.wid = 1, .instance = "rig", .data = i ? "two" : "one", .len = 3};
        journal_submission s = {.entries = &e, .n_entries = 1, .cursor = &cursor};
        if (i)
            journal_fault_set(f->j, JOURNAL_FAULT_SYNC, 1);
        assert_int_equal(journal_submit_wait(f->j, &s, &st), i ? STATUS_UNAVAILABLE : STATUS_OK);
        batch_builder_free(b);
    }
    while (journal_stats_get(f->j).failed)
        usleep(1000);
    assert_int_equal(journal_backlog_get(f->j, 0, NULL).rows, 1);
    assert_int_equal(journal_cursor_get(f->j, 1, "rig", a, &data, &len, &st), STATUS_OK);
    assert_memory_equal(data, "one", 3);
    arena_free(a);
}

/* A group that meets "full" is tried again one by one, and all of it is taken. */
static void a_full_group_is_tried_one_by_one(void **state)
{
    fixture *f = *state;
    enum { N = 6 };
    client clients[N];
    for (uint32_t i = 0; i < N; i++) {
        clients[i] = (client){.j = f->j, .number = i};
        pthread_create(&clients[i].thread, NULL, client_run, &clients[i]);
    }
    for (uint32_t i = 0; i < N; i++)
        pthread_join(clients[i].thread, NULL);
    uint64_t before = journal_backlog_get(f->j, 0, NULL).rows;
    assert_int_equal(before, N * CLIENT_RECORDS * 5);
    batch none = {0};
    journal_entry e = entry_of(&none);
    journal_submission s = {.entries = &e, .n_entries = 1, .on_done = count_answer};
    status st;
    journal_fault_set(f->j, JOURNAL_FAULT_SYNC_SLOW, 1); /* keeps the thread busy while the group gathers */
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(journal_submit(f->j, &s, &st), STATUS_OK);
        if (i == 0)
            usleep(20000);
    }
    journal_fault_set(f->j, JOURNAL_FAULT_MAP_FULL, 1);
    while (answers[STATUS_OK] + answers[STATUS_LIMIT] < 10)
        usleep(1000);
    assert_int_equal(answers[STATUS_OK], 10);
    assert_int_equal(journal_stats_get(f->j).commit_failures, 1);
}

/* The file shows a commit before the journal has heard how it went: readers wait for that, or what they trim
 * would not be there yet. */
static void a_record_is_read_when_its_commit_is_known(void **state)
{
    fixture *f = *state;
    batch none = {0};
    journal_entry e = entry_of(&none);
    journal_submission s = {.entries = &e, .n_entries = 1, .on_done = count_answer};
    status st;
    journal_stream at;
    assert_int_equal(journal_submit_wait(f->j, &(journal_submission){.entries = &e, .n_entries = 1}, &st),
                     STATUS_OK);
    assert_true(journal_stream_get(f->j, 1, &at));
    uint64_t first = at.last_seq;
    unsigned before = answers[STATUS_OK];
    journal_fault_set(f->j, JOURNAL_FAULT_TOLD_LATE, 1);
    assert_int_equal(journal_submit(f->j, &s, &st), STATUS_OK);
    do {
        const journal_record *records;
        size_t n;
        arena *a = arena_create(4096);
        assert_int_equal(journal_read(f->j, 1, first, 1 << 20, a, &records, &n, &st), STATUS_OK);
        assert_true(journal_stream_get(f->j, 1, &at));
        assert_true(n == 0 || records[n - 1].seq <= at.last_seq);
        arena_free(a);
        usleep(1000);
    } while (answers[STATUS_OK] == before);
    assert_true(journal_stream_get(f->j, 1, &at));
    assert_int_equal(at.last_seq, first + 1);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clients_side_by_side, set_up, tear_down),
#ifdef PENSTOCK_FAULTS
        cmocka_unit_test_setup_teardown(rows_leave_some_of_the_disk_free, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_empties_under_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_commit_is_no_ack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_is_committed_with_its_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_group_is_tried_one_by_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_is_read_when_its_commit_is_known, set_up, tear_down),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
