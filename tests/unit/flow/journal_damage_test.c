/* One page of the journal's file is damaged, each seed another page in another way. The journal must open,
 * give out every record that the page did not hold as it was, say how many are missing, and go on. */
#include "support/check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/random.h"
#include "flow/journal.h"

#define SEEDS 150
#define SEEDS_LATER 60
#define WORKSPACES 4
#define RECORDS 160 /* of each */
#define TRIMMED 20  /* of the first */
#define PAGE 4096U
#define SIZE_BYTES (32U << 20)

static journal_settings settings_of(const char *folder)
{
    return (journal_settings){.folder = folder, .size_bytes = SIZE_BYTES, .store_bytes = SIZE_BYTES};
}

static void append(journal *j, uint32_t wid, uint64_t number, uint32_t n_rows)
{
    static const column_type types[] = {COLUMN_INTEGER, COLUMN_TEXT};
    batch_builder *b = batch_builder_create(types, 2);
    for (uint32_t i = 0; i < n_rows; i++) {
        batch_builder_int64(b, 0, (int64_t)(number * 1000 + i));
        batch_builder_text(b, 1, "some text for the record", i % 24);
        batch_builder_end_row(b);
    }
    batch rows = batch_builder_freeze(b);
    journal_entry e = {.kind = JOURNAL_ROWS, .wid = wid, .store = "s", .generation = number, .rows = &rows};
    journal_submission s = {.entries = &e, .n_entries = 1};
    status st;
    status_class class = journal_submit_wait(j, &s, &st);
    for (unsigned i = 0; i < 1000 && class == STATUS_UNAVAILABLE;
         i++) { /* damage found by a trim is mended first */
        usleep(1000);
        class = journal_submit_wait(j, &s, &st);
    }
    if (class != STATUS_OK)
        fail_msg("%s", st.text);
    batch_builder_free(b);
}

static uint32_t rows_of(uint64_t number)
{
    return (uint32_t)(number * 7 % 300);
}

static uint32_t stream_of(journal *j, uint32_t wid)
{
    journal_stream s;
    return journal_stream_find(j, wid, "s", JOURNAL_LIVE, 0, &s) ? s.id : 0;
}

static void wait_trimmed(journal *j, uint64_t records)
{
    while (journal_stats_get(j).trimmed_records < records)
        usleep(1000);
}

/* A journal with history: records of four workspaces in turn, some trimmed so that pages were used again. */
static void make_journal(const char *folder)
{
    const journal_settings settings = settings_of(folder);
    journal *j;
    status st;
    assert_int_equal(journal_open(&settings, &j, &st), STATUS_OK);
    for (uint64_t number = 0; number < RECORDS; number++) {
        for (uint32_t wid = 1; wid <= WORKSPACES; wid++)
            append(j, wid, number, rows_of(number + wid));
        if (number == TRIMMED) {
            journal_trim(j, stream_of(j, 1), TRIMMED);
            wait_trimmed(j, TRIMMED);
        }
    }
    journal_close(j);
}

/* ---- damage ---- */

typedef struct whole_file {
    uint8_t *data;
    size_t len;
} whole_file;

static whole_file load(const char *folder)
{
    char path[4200];
    struct stat s;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &s) == 0);
    whole_file f = {malloc((size_t)s.st_size), (size_t)s.st_size};
    assert_int_equal(read(fd, f.data, f.len), f.len);
    close(fd);
    return f;
}

static void hurt_page(uint8_t *page, random_seeded *r)
{
    switch (random_seeded_next(r) % 5) {
    case 0: /* a bit of its head */
        page[random_seeded_next(r) % 32] ^= (uint8_t)(1U << random_seeded_next(r) % 8);
        break;
    case 1: /* a bit anywhere */
        page[random_seeded_next(r) % PAGE] ^= (uint8_t)(1U << random_seeded_next(r) % 8);
        break;
    case 2: /* never written */
        memset(page, 0, PAGE);
        break;
    case 3: /* half written */
        memset(page + PAGE / 2, 0xff, PAGE / 2);
        break;
    default:
        for (size_t i = 0; i < PAGE; i++)
            page[i] = (uint8_t)random_seeded_next(r);
    }
}

static void put_damaged(const char *folder, whole_file f, random_seeded *r)
{
    char path[4200];
    uint8_t *copy = malloc(f.len);
    memcpy(copy, f.data, f.len);
    hurt_page(copy + random_seeded_next(r) % (f.len / PAGE) * PAGE, r);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "wb");
    assert_int_equal(fwrite(copy, 1, f.len, file), f.len);
    fclose(file);
    free(copy);
}

/* ---- what is left ---- */

typedef struct left_over {
    uint64_t whole, missing;
    bool open_end; /* the journal cannot know whether the newest are missing */
    bool gone;     /* not even the stream is known any more */
} left_over;

static bool is_whole(const journal_record *r, uint32_t wid)
{
    uint64_t number = r->generation;
    if (r->damaged || r->kind != JOURNAL_ROWS)
        return false;
    assert_int_equal(r->seq, number + 1);
    assert_int_equal(r->n_rows, rows_of(number + wid));
    for (uint32_t i = 0; i < r->n_rows; i++)
        assert_int_equal(((const int64_t *)r->rows.columns[0].values)[i], (int64_t)(number * 1000 + i));
    return true;
}

/* Reads the stream as the writer does: no number may be passed over without a marker that says so. */
static left_over read_stream(journal *j, uint32_t wid)
{
    left_over found = {0};
    journal_stream s;
    const journal_record *r;
    size_t n;
    status st;
    if (!journal_stream_find(j, wid, "s", JOURNAL_LIVE, 0, &s))
        return (left_over){.gone = true, .missing = RECORDS};
    arena *a = arena_create(0);
    status_class class;
    while ((class = journal_read(j, s.id, s.trimmed_seq, (size_t)1 << 30, a, &r, &n, &st)) ==
           STATUS_UNAVAILABLE)
        usleep(1000); /* it is being mended */
    assert_int_equal(class, STATUS_OK);
    assert_true(journal_stream_get(j, s.id, &s));
    uint64_t position = s.trimmed_seq;
    for (size_t i = 0; i < n; i++) {
        bool loss = r[i].kind == JOURNAL_MARKER && r[i].flags & JOURNAL_LOSS;
        assert_int_equal(r[i].prev_seq, position);
        found.whole += is_whole(&r[i], wid);
        found.missing += r[i].damaged ? 1 : 0;
        if (loss && r[i].seq < (uint64_t)1 << 32)
            found.missing += r[i].seq - position;
        else if (loss)
            found.missing += RECORDS - position;
        found.open_end = found.open_end || (loss && r[i].seq >= (uint64_t)1 << 32);
        position = r[i].seq;
    }
    arena_free(a);
    assert_int_equal(found.whole + found.missing + s.trimmed_seq, RECORDS);
    return found;
}

/* It takes records, and gives room back. */
static void goes_on(journal *j)
{
    for (uint32_t wid = 1; wid <= WORKSPACES; wid++) {
        append(j, wid, 7777, 3);
        journal_stream s;
        assert_true(journal_stream_find(j, wid, "s", JOURNAL_LIVE, 0, &s));
        journal_trim(j, s.id, s.last_seq);
    }
    for (uint32_t wid = 1; wid <= WORKSPACES; wid++) {
        journal_stream s;
        do
            usleep(500);
        while (journal_stream_find(j, wid, "s", JOURNAL_LIVE, 0, &s) && s.rows > 0);
    }
}

typedef struct tally {
    uint64_t whole, missing;
    unsigned losers, gone;
} tally;

static void look(const char *folder, uint32_t leaves_at_once, tally *t)
{
    journal_settings settings = settings_of(folder);
    settings.leaves_at_once = leaves_at_once;
    journal *j;
    status st;
    uint64_t missing = 0;
    if (journal_open(&settings, &j, &st) != STATUS_OK)
        fail_msg("it does not open: %s", st.text);
    for (uint32_t wid = 1; wid <= WORKSPACES; wid++) {
        left_over found = read_stream(j, wid);
        t->whole += found.whole;
        missing += found.missing;
        t->gone += found.gone;
        journal_backlog b = journal_backlog_get(j, wid, "s");
        if (found.missing && !found.gone)
            assert_true(b.records_lost > 0);
        else if (!found.gone && !found.open_end)
            assert_int_equal(b.records_lost, 0);
    }
    t->missing += missing;
    t->losers += missing > 0;
    goes_on(j);
    journal_close(j);
    assert_int_equal(journal_open(&settings, &j, &st), STATUS_OK);
    journal_close(j);
}

/* `leaves_at_once` 1: records are read while their pages are still being looked at. */
static void damage_pages(unsigned seeds, uint32_t leaves_at_once)
{
    char *original = test_folder();
    random_seeded r = {test_seed()};
    tally t = {0};
    make_journal(original);
    whole_file f = load(original);
    for (unsigned i = 0; i < seeds; i++) {
        char *folder = test_folder();
        put_damaged(folder, f, &r);
        look(folder, leaves_at_once, &t);
        test_folder_remove(folder);
    }
    fprintf(
        stderr,
        "%u damaged files of %zu pages: %u lost records; %llu records whole, %llu missing, %u streams gone\n",
        seeds, f.len / PAGE, t.losers, (unsigned long long)t.whole, (unsigned long long)t.missing, t.gone);
    assert_true(t.losers > seeds / 10);
    assert_true(t.whole > t.missing * 20);
    free(f.data);
    test_folder_remove(original);
}

static void a_damaged_page_costs_what_it_held(void **state)
{
    (void)state;
    damage_pages(SEEDS, 0);
}

static void it_does_when_it_is_found_later(void **state)
{
    (void)state;
    damage_pages(SEEDS_LATER, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_damaged_page_costs_what_it_held),
        cmocka_unit_test(it_does_when_it_is_found_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
