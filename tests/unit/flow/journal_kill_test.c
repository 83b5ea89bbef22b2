/* kill -9 at random moments: a child appends and reports every ack through a pipe; afterwards every acked
 * record must be there once, in order, and the next one goes on where the last stopped. */
#include "support/check.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/random.h"
#include "flow/journal.h"

#define KILLS 25
#define STREAMS 3

typedef struct ack {
    uint32_t stream; /* shard */
    uint64_t number; /* of the record, counted by its writer; its generation */
} ack;

typedef struct writer {
    journal *j;
    int pipe;
    uint64_t next[STREAMS];
} writer;

typedef struct in_flight {
    writer *w;
    ack what;
} in_flight;

/* On the commit thread: the ack leaves the process at once, as an answer to a client would. */
static void on_done(void *arg, status_class class, const status *st)
{
    in_flight *f = arg;
    (void)st;
    if (class == STATUS_OK && write(f->w->pipe, &f->what, sizeof f->what) != (ssize_t)sizeof f->what)
        _exit(3);
    free(f);
}

static void append(writer *w, uint32_t shard, uint32_t n_rows)
{
    static const column_type types[] = {COLUMN_INTEGER, COLUMN_TEXT};
    batch_builder *b = batch_builder_create(types, 2);
    uint64_t number = w->next[shard]++;
    for (uint32_t i = 0; i < n_rows; i++) {
        batch_builder_int64(b, 0, (int64_t)(number * 1000 + i));
        batch_builder_text(b, 1, "some text for the record", i % 24);
        batch_builder_end_row(b);
    }
    batch rows = batch_builder_freeze(b);
    in_flight *f = malloc(sizeof *f);
    *f = (in_flight){w, {shard, number}};
    journal_entry e = {.kind = JOURNAL_ROWS,
                       .wid = 1,
                       .store = "s",
                       .shard = (uint16_t)shard,
                       .generation = number,
                       .rows = &rows};
    journal_cursor cursor = {.wid = 1,
                             .instance = shard == 0   ? "s0"
                                         : shard == 1 ? "s1"
                                                      : "s2",
                             .data = &number,
                             .len = sizeof number};
    journal_submission s = {.entries = &e, .n_entries = 1, .cursor = &cursor, .on_done = on_done, .arg = f};
    status st;
    if (journal_submit(w->j, &s, &st) != STATUS_OK) {
        w->next[shard]--;
        free(f);
        usleep(1000);
    }
    batch_builder_free(b);
}

/* Appends to all streams and trims the first one, until it is killed. */
static void child(const journal_settings *settings, int pipe, const uint64_t next[STREAMS], uint64_t seed)
{
    writer w = {.pipe = pipe};
    status st;
    random_seeded r = {seed};
    memcpy(w.next, next, sizeof w.next);
    if (journal_open(settings, &w.j, &st) != STATUS_OK)
        _exit(2);
    for (;;) {
        journal_stream s;
        append(&w, (uint32_t)(random_seeded_next(&r) % STREAMS), (uint32_t)(random_seeded_next(&r) % 400));
        if (random_seeded_next(&r) % 8 == 0)
            usleep((useconds_t)(random_seeded_next(&r) % 2000));
        if (random_seeded_next(&r) % 16 == 0 && journal_stream_find(w.j, 1, "s", JOURNAL_LIVE, 0, &s))
            journal_trim(w.j, s.id, s.last_seq);
    }
}

typedef struct tally {
    uint64_t acked[STREAMS]; /* highest number + 1 */
    uint64_t kept[STREAMS];  /* number the next record must have */
    uint64_t acks;
} tally;

static void collect_acks(int pipe, tally *t)
{
    ack a;
    while (read(pipe, &a, sizeof a) == (ssize_t)sizeof a) {
        assert_in_range(a.stream, 0, STREAMS - 1);
        if (a.number + 1 > t->acked[a.stream])
            t->acked[a.stream] = a.number + 1;
        t->acks++;
    }
}

static void verify_stream(journal *j, uint32_t shard, tally *t)
{
    journal_stream s;
    status st;
    arena *a = arena_create(0);
    const journal_record *r;
    size_t n;
    if (!journal_stream_find(j, 1, "s", JOURNAL_LIVE, (uint16_t)shard, &s)) {
        assert_int_equal(t->acked[shard], 0);
        arena_free(a);
        return;
    }
    assert_int_equal(journal_read(j, s.id, s.trimmed_seq, (size_t)1 << 30, a, &r, &n, &st), STATUS_OK);
    uint64_t next = s.trimmed_seq; /* record number k has seq k + 1 */
    for (size_t i = 0; i < n; i++, next++) {
        assert_false(r[i].damaged);
        assert_int_equal(r[i].generation, next);
        assert_int_equal(r[i].seq, next + 1);
        assert_int_equal(r[i].prev_seq, next);
        if (r[i].rows.n_rows)
            assert_int_equal(((const int64_t *)r[i].rows.columns[0].values)[0], (int64_t)next * 1000);
    }
    if (next < t->acked[shard])
        fail_msg("stream %u: %llu acked, %llu kept", shard, (unsigned long long)t->acked[shard],
                 (unsigned long long)next);
    char instance[3] = {'s', (char)('0' + shard), '\0'};
    const void *data;
    uint64_t cursor;
    assert_int_equal(journal_cursor_get(j, 1, instance, a, &data, &n, &st), STATUS_OK);
    memcpy(&cursor, data, sizeof cursor);
    assert_int_equal(cursor + 1, next); /* in the same commit as its rows */
    t->kept[shard] = next;
    arena_free(a);
}

static void nothing_acked_is_lost(void **state)
{
    (void)state;
    char *root = test_folder();
    journal_settings settings = {.folder = root, .size_bytes = 16 << 20};
    random_seeded r = {test_seed()};
    tally t = {.acks = 0};
    for (unsigned kill_number = 0; kill_number < KILLS; kill_number++) {
        int ends[2];
        uint64_t seed = random_seeded_next(&r);
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            child(&settings, ends[1], t.kept, seed);
        }
        close(ends[1]);
        usleep((useconds_t)(20000 + random_seeded_next(&r) % 60000));
        kill(pid, SIGKILL);
        collect_acks(ends[0], &t);
        close(ends[0]);
        int how;
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        journal *j;
        status st;
        if (journal_open(&settings, &j, &st) != STATUS_OK)
            fail_msg("%s", st.text);
        for (uint32_t shard = 0; shard < STREAMS; shard++) {
            journal_stream s;
            verify_stream(j, shard, &t);
            if (journal_stream_find(j, 1, "s", JOURNAL_LIVE, (uint16_t)shard, &s) && shard)
                journal_trim(j, s.id, s.last_seq); /* or it fills up */
        }
        journal_close(j);
    }
    fprintf(stderr, "kills %d, acks %llu, lost 0, twice 0\n", KILLS, (unsigned long long)t.acks);
    assert_true(t.acks > 100);
    test_folder_remove(root);
}

/* ---- the ack rule ---- */

static void on_done_die(void *arg, status_class class, const status *st)
{
    (void)st;
    in_flight *f = arg;
    if (class == STATUS_OK && write(f->w->pipe, &f->what, sizeof f->what) == (ssize_t)sizeof f->what)
        kill(getpid(), SIGKILL);
    _exit(3);
}

/* The host dies in the moment of its first ack, when the answer has just left. How many records are kept? */
static uint64_t kept_after_death_at_the_ack(const char *folder)
{
    const journal_settings settings = {.folder = folder, .size_bytes = 16 << 20};
    int ends[2], how;
    ack heard;
    status st;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        writer w = {.pipe = ends[1]};
        in_flight f = {&w, {0, 0}};
        journal_entry e = {.kind = JOURNAL_REJECTED,
                           .wid = 1,
                           .store = "s",
                           .payload = "row",
                           .payload_len = 3,
                           .payload_rows = 1,
                           .count_received = 1,
                           .count_rejected = 1};
        journal_submission s = {.entries = &e, .n_entries = 1, .on_done = on_done_die, .arg = &f};
        if (journal_open(&settings, &w.j, &st) != STATUS_OK || journal_submit(w.j, &s, &st) != STATUS_OK)
            _exit(2);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &heard, sizeof heard), sizeof heard); /* it was acknowledged */
    close(ends[0]);
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFSIGNALED(how));
    journal *j;
    journal_stream s = {.last_seq = 0};
    assert_int_equal(journal_open(&settings, &j, &st), STATUS_OK);
    journal_stream_find(j, 1, "s", JOURNAL_LIVE, 0, &s);
    journal_close(j);
    return s.last_seq;
}

static void the_ack_waits_for_the_commit(void **state)
{
    (void)state;
    char *right = test_folder();
    assert_int_equal(kept_after_death_at_the_ack(right), 1);
    test_folder_remove(right);
#ifdef PENSTOCK_FAULTS
    char *wrong = test_folder();
    setenv("PENSTOCK_FAULT", "ack", 1);
    uint64_t kept = kept_after_death_at_the_ack(wrong);
    unsetenv("PENSTOCK_FAULT");
    assert_int_equal(kept, 0); /* the guard mattered: acknowledged and lost */
    test_folder_remove(wrong);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acked_is_lost),
                                       cmocka_unit_test(the_ack_waits_for_the_commit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
