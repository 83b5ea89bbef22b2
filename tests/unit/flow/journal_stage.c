/* Rows are made from their number, so that a reader knows them again. */
#include "journal_stage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void open_again(fixture *f)
{
    status st;
    journal_close(f->j);
    f->j = NULL;
    if (journal_open(&f->settings, &f->j, &st) != STATUS_OK)
        fail_msg("%s", st.text);
}

int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    f->root = test_folder();
    f->folder = malloc(strlen(f->root) + 20);
    sprintf(f->folder, "%s/journal", f->root);
    f->settings = (journal_settings){.folder = f->folder, .size_bytes = 64 << 20};
    open_again(f);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    fixture *f = *state;
    journal_close(f->j);
    test_folder_remove(f->root);
    free(f->folder);
    free(f);
    return 0;
}

batch_builder *rows_of(uint32_t n, int64_t first)
{
    static const column_type types[] = {COLUMN_TIMESTAMP, COLUMN_TEXT, COLUMN_NUMBER};
    batch_builder *b = batch_builder_create(types, 3);
    for (uint32_t i = 0; i < n; i++) {
        char device[32];
        batch_builder_int64(b, 0, first + i);
        batch_builder_text(b, 1, device, (size_t)snprintf(device, sizeof device, "pump-%u", i % 10));
        if (i % 3)
            batch_builder_number(b, 2, (double)(first + i) / 2);
        batch_builder_end_row(b);
    }
    return b;
}

journal_entry entry_of(const batch *rows)
{
    return (journal_entry){.kind = JOURNAL_ROWS,
                           .wid = 1,
                           .store = "sensor_data",
                           .origin = "http",
                           .request_id = "01JABC",
                           .generation = 7,
                           .received_us = 1774720799000000,
                           .count_received = rows->n_rows + 1,
                           .count_rejected = 1,
                           .rows = rows};
}

status_class submit_rows(journal *j, uint32_t n, int64_t first, status *st)
{
    batch_builder *b = rows_of(n, first);
    batch rows = batch_builder_freeze(b);
    journal_entry e = entry_of(&rows);
    journal_submission s = {.entries = &e, .n_entries = 1};
    status_class class = journal_submit_wait(j, &s, st);
    batch_builder_free(b);
    return class;
}

void must_submit(journal *j, uint32_t n, int64_t first)
{
    status st;
    if (submit_rows(j, n, first, &st) != STATUS_OK)
        fail_msg("%s", st.text);
}

uint32_t the_stream(journal *j)
{
    journal_stream s;
    assert_true(journal_stream_find(j, 1, "sensor_data", JOURNAL_LIVE, 0, &s));
    return s.id;
}

size_t read_all(journal *j, uint64_t after, arena *a, const journal_record **out)
{
    status st;
    size_t n;
    assert_int_equal(journal_read(j, the_stream(j), after, (size_t)1 << 30, a, out, &n, &st), STATUS_OK);
    return n;
}

void check_rows(const journal_record *r, uint32_t n, int64_t first)
{
    assert_int_equal(r->n_rows, n);
    assert_int_equal(r->rows.n_rows, n);
    for (uint32_t i = 0; i < n; i++) {
        char device[32];
        int len = snprintf(device, sizeof device, "pump-%u", i % 10);
        const column *c = r->rows.columns;
        assert_int_equal(((const int64_t *)c[0].values)[i], first + i);
        assert_int_equal(c[1].offsets[i + 1] - c[1].offsets[i], len);
        assert_memory_equal(c[1].data + c[1].offsets[i], device, (size_t)len);
        assert_int_equal(column_is_null(&c[2], i), i % 3 == 0);
        if (i % 3)
            assert_true(((const double *)c[2].values)[i] == (double)(first + i) / 2);
    }
}

void wait_trimmed(journal *j, uint64_t seq)
{
    journal_stats stats;
    for (int i = 0; i < 500; i++) {
        stats = journal_stats_get(j);
        if (stats.trimmed_records >= seq)
            return;
        usleep(10000);
    }
    fail_msg("trimmed %llu", (unsigned long long)stats.trimmed_records);
}
