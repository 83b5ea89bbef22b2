/* The journal: what is submitted comes back, in order, also after reopening; caps, trims, keys, cursors,
 * damage. */
#include "journal_stage.h"

#include <lmdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "flow/journal_crc.h"
#include "flow/journal_record.h"
#include "flow/rejected.h"

static void records_come_back(void **state)
{
    fixture *f = *state;
    arena *a = arena_create(0);
    const journal_record *r;
    assert_true(journal_is_new(f->j));
    for (int round = 0; round < 2; round++) {
        int64_t row = 0;
        if (round == 0)
            for (uint32_t i = 1; i <= 30; i++)
                must_submit(f->j, i * i, i * 1000);
        assert_int_equal(read_all(f->j, 0, a, &r), 30);
        for (uint32_t i = 1; i <= 30; i++, r++) {
            check_rows(r, i * i, i * 1000);
            assert_int_equal(r->seq, i);
            assert_int_equal(r->prev_seq, i - 1);
            assert_int_equal(r->generation, 7);
            assert_string_equal(r->origin, "http");
            assert_string_equal(r->request_id, "01JABC");
            assert_string_equal(r->store, "sensor_data");
            assert_int_equal(r->count_received, i * i + 1);
            assert_true(row == 0 || r->first_row == row);
            row = r->first_row + r->n_rows;
        }
        assert_true(row > 1700000000000000);
        uint8_t incarnation[16];
        memcpy(incarnation, journal_incarnation(f->j), 16);
        open_again(f);
        assert_memory_equal(incarnation, journal_incarnation(f->j), 16);
        assert_false(journal_is_new(f->j));
    }
    arena_free(a);
}

static void all_types_and_kinds(void **state)
{
    fixture *f = *state;
    static const column_type types[] = {COLUMN_BOOLEAN, COLUMN_INTEGER, COLUMN_NUMBER, COLUMN_TIMESTAMP,
                                        COLUMN_DATE,    COLUMN_UUID,    COLUMN_TEXT,   COLUMN_JSON};
    batch_builder *b = batch_builder_create(types, 8);
    for (uint32_t i = 0; i < 9; i++) {
        uint8_t uuid[16] = {(uint8_t)i};
        batch_builder_boolean(b, 0, i & 1);
        batch_builder_int64(b, 1, -(int64_t)i);
        if (i == 4)
            batch_builder_null(b, 2);
        batch_builder_date(b, 4, (int32_t)i);
        batch_builder_uuid(b, 5, uuid);
        batch_builder_text(b, 6, "", 0);
        batch_builder_text(b, 7, "{}", 2);
        batch_builder_end_row(b);
    }
    batch rows = batch_builder_freeze(b), none = {.n_columns = 8, .columns = rows.columns};
    text rejected = {0};
    rejected_row one = {.row = 3,
                        .line = 4,
                        .column = 5,
                        .code = "type",
                        .pointer = "/x",
                        .detail = "no",
                        .bytes = "{}",
                        .len = 2};
    rejected_pack(&rejected, &one);
    rejected_pack(&rejected, &one);
    journal_field field = {.tag = 9, .len = 3, .data = "abc"};
    journal_entry e[3] = {entry_of(&rows), entry_of(&none), entry_of(&none)};
    e[2].kind = JOURNAL_REJECTED;
    e[2].payload = rejected.data;
    e[2].payload_len = rejected.len;
    e[2].payload_rows = 2;
    e[2].fields = &field;
    e[2].n_fields = 1;
    e[2].flags = JOURNAL_SKIPPABLE;
    journal_submission s = {.entries = e, .n_entries = 3};
    status st;
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    arena *a = arena_create(0);
    const journal_record *r;
    assert_int_equal(read_all(f->j, 0, a, &r), 3);
    const column *c = r[0].rows.columns;
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(bitmap_get(c[0].values, i), i & 1);
        assert_int_equal(((const int64_t *)c[1].values)[i], -(int64_t)i);
        assert_true(column_is_null(&c[2], i));
        assert_int_equal(column_is_present(&c[2], i), i == 4);
        assert_int_equal(((const uint8_t *)c[5].values)[16 * i], i);
        assert_int_equal(c[7].offsets[i], 2 * i);
    }
    assert_int_equal(r[1].rows.n_rows, 0);
    assert_int_equal(r[2].first_row, r[0].first_row + 9);
    assert_int_equal(r[2].flags, JOURNAL_SKIPPABLE);
    assert_int_equal(r[2].fields[0].tag, 9);
    assert_memory_equal(r[2].fields[0].data, "abc", 3);
    size_t at = 0;
    rejected_row got;
    for (int i = 0; i < 2; i++) {
        assert_true(rejected_unpack(r[2].payload, r[2].payload_len, &at, &got));
        assert_string_equal(got.pointer, "/x");
        assert_memory_equal(got.bytes, "{}", 2);
    }
    assert_false(rejected_unpack(r[2].payload, r[2].payload_len, &at, &got));
    arena_free(a);
    text_free(&rejected);
    batch_builder_free(b);
}

static void big_records_and_read_limits(void **state)
{
    fixture *f = *state;
    char *payload = calloc(1, 1 << 20);
    arena *a = arena_create(0);
    const journal_record *r;
    status st;
    size_t n;
    batch none = {0};
    static const size_t sizes[] = {0,    1,    3900, 3960, 3961, 3962, 3963,   3964,
                                   3965, 3966, 3967, 3968, 3969, 8036, 100000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        journal_entry e = entry_of(&none);
        e.kind = JOURNAL_RAW;
        e.payload = payload;
        e.payload_len = sizes[i];
        memset(payload, (int)i + 1, sizes[i]);
        journal_submission s = {.entries = &e, .n_entries = 1};
        assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    }
    assert_int_equal(read_all(f->j, 0, a, &r), sizeof sizes / sizeof *sizes);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(r[i].payload_len, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_true(((const uint8_t *)r[i].payload)[k] == i + 1);
    }
    uint64_t after = 0;
    size_t seen = 0;
    do {
        assert_int_equal(journal_read(f->j, the_stream(f->j), after, 10000, a, &r, &n, &st), STATUS_OK);
        seen += n;
        if (n)
            after = r[n - 1].seq;
        assert_true(n <= 4);
    } while (n);
    assert_int_equal(seen, sizeof sizes / sizeof *sizes);
    journal_entry e = entry_of(&none);
    e.kind = JOURNAL_RAW;
    e.payload = payload;
    e.payload_len = (size_t)JOURNAL_RECORD_MAX + 1;
    journal_submission s = {.entries = &e, .n_entries = 1};
    assert_int_equal(journal_submit(f->j, &s, &st), STATUS_LIMIT);
    arena_free(a);
    free(payload);
}

/* ---- trims and totals ---- */

static void trims_free_what_they_say(void **state)
{
    fixture *f = *state;
    arena *a = arena_create(0);
    const journal_record *r;
    for (uint32_t i = 1; i <= 20; i++)
        must_submit(f->j, 100, i * 1000);
    journal_backlog before = journal_backlog_get(f->j, 1, "sensor_data");
    assert_int_equal(before.rows, 2000);
    assert_int_equal(before.oldest_received_us, 1774720799000000);
    journal_trim(f->j, the_stream(f->j), 15);
    wait_trimmed(f->j, 15);
    for (int round = 0; round < 2; round++) {
        journal_backlog b = journal_backlog_get(f->j, 0, NULL);
        assert_int_equal(b.rows, 500);
        assert_int_equal(b.bytes, before.bytes / 4);
        assert_int_equal(read_all(f->j, 0, a, &r), 5);
        assert_int_equal(r[0].seq, 16);
        assert_int_equal(r[0].prev_seq, 15);
        open_again(f);
    }
    journal_trim(f->j, the_stream(f->j), 20);
    wait_trimmed(f->j, 5);
    open_again(f);
    assert_int_equal(journal_backlog_get(f->j, 0, NULL).rows, 0);
    assert_int_equal(journal_backlog_get(f->j, 0, NULL).oldest_received_us, 0);
    must_submit(f->j, 1, 5);
    assert_int_equal(read_all(f->j, 0, a, &r), 1);
    assert_int_equal(r[0].seq, 21);
    assert_int_equal(r[0].prev_seq, 20);
    const journal_stream *streams;
    assert_int_equal(journal_streams(f->j, true, a, &streams), 1);
    journal_trim(f->j, the_stream(f->j), 21);
    assert_int_equal(journal_streams(f->j, true, a, &streams), 0);
    assert_int_equal(journal_streams(f->j, false, a, &streams), 1);
    arena_free(a);
}

/* The refusal names it; before anything was trimmed it knows of no rate. */
static void check_limit(const status *st, const char *name, uint64_t value, bool drained)
{
    limit met;
    assert_true(limit_get(st, &met));
    assert_string_equal(met.name, name);
    assert_string_equal(met.set_by, LIMIT_BY_PLATFORM);
    assert_true(met.value == value);
    if (drained)
        assert_in_range(met.retry_s, 1,
                        4); /* a megabyte or so within the last seconds, and little is too much */
    else
        assert_int_equal(met.retry_s, DRAIN_WAIT_STILL_S);
}

static void fills_empties_and_fills_again(void **state)
{
    fixture *f = *state;
    status st;
    f->settings.size_bytes = 4 << 20;
    f->settings.store_bytes = 16 << 20;
    test_folder_remove(strdup(f->folder));
    journal_close(f->j);
    f->j = NULL;
    test_folder_remove(strdup(f->folder));
    open_again(f);
    uint64_t accepted[4] = {0};
    for (int round = 0; round < 4; round++) {
        status_class class;
        uint32_t size = 1;
        while ((class = submit_rows(f->j, size, 0, &st)) == STATUS_OK) {
            accepted[round]++;
            size = size * 5 % 977 + 1;
        }
        assert_int_equal(class, STATUS_LIMIT);
        check_limit(&st, "journal.size", f->settings.size_bytes, round);
        journal_stats stats = journal_stats_get(f->j);
        assert_true(stats.used_bytes <= stats.size_bytes * 92 / 100);
        assert_true(stats.used_bytes >= stats.size_bytes * 70 / 100);
        journal_stream s;
        assert_true(journal_stream_get(f->j, the_stream(f->j), &s));
        uint64_t before = stats.trimmed_records;
        journal_trim(f->j, s.id, s.last_seq);
        wait_trimmed(f->j, before + accepted[round]);
        for (int i = 0; i < 100 && journal_backlog_get(f->j, 0, NULL).rows; i++)
            usleep(10000);
    }
    assert_true(accepted[3] >= accepted[0] * 9 / 10);
}

static void a_store_has_its_share(void **state)
{
    fixture *f = *state;
    status st;
    f->settings.store_bytes = 100000;
    open_again(f);
    unsigned n = 0;
    while (submit_rows(f->j, 100, 0, &st) == STATUS_OK)
        n++;
    assert_in_range(n, 15, 40);
    assert_non_null(strstr(st.text, "sensor_data"));
    assert_int_equal(submit_rows(f->j, 100, 0, &st), STATUS_LIMIT);
    check_limit(&st, "limits.store_bytes", 100000, false);
    batch none = {0};
    journal_entry e = entry_of(&none);
    e.store = "other";
    journal_submission s = {.entries = &e, .n_entries = 1};
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    journal_trim(f->j, the_stream(f->j), n);
    wait_trimmed(f->j, n);
    assert_int_equal(submit_rows(f->j, 100, 0, &st), STATUS_OK);
    while (submit_rows(f->j, 100, 0, &st) == STATUS_OK)
        ;
    check_limit(&st, "limits.store_bytes", 100000, true);
}

/* ---- cursors and keys ---- */

static void cursors_and_keys(void **state)
{
    fixture *f = *state;
    static const int64_t start = 1774720799000000;
    clock_fake fake;
    arena *a = arena_create(0);
    const void *data;
    size_t len;
    status st;
    clock_fake_use(&fake, start);
    batch_builder *b = rows_of(3, 0);
    batch rows = batch_builder_freeze(b);
    journal_entry e = entry_of(&rows);
    journal_cursor cursor = {.wid = 1, .instance = "rig", .data = "offset 7", .len = 8};
    journal_key key = {.wid = 1, .key = "k-1", .verdict = "3 rows", .verdict_len = 6};
    journal_submission s = {.entries = &e, .n_entries = 1, .cursor = &cursor, .key = &key};
    assert_int_equal(journal_idempotency_find(f->j, 1, "k-1", a, &data, &len, &st), STATUS_NOT_FOUND);
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_CONFLICT);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(journal_backlog_get(f->j, 1, NULL).rows, 3);
        assert_int_equal(journal_cursor_get(f->j, 1, "rig", a, &data, &len, &st), STATUS_OK);
        assert_int_equal(len, 8);
        assert_memory_equal(data, "offset 7", 8);
        assert_int_equal(journal_cursor_get(f->j, 2, "rig", a, &data, &len, &st), STATUS_NOT_FOUND);
        assert_int_equal(journal_idempotency_find(f->j, 1, "k-1", a, &data, &len, &st), STATUS_OK);
        assert_memory_equal(data, "3 rows", 6);
        open_again(f);
    }
    clock_fake_advance(&fake, JOURNAL_KEY_LIFE_US - 1);
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_CONFLICT);
    clock_fake_advance(&fake, 1);
    assert_int_equal(journal_idempotency_find(f->j, 1, "k-1", a, &data, &len, &st), STATUS_NOT_FOUND);
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_CONFLICT);
    clock_use(NULL);
    batch_builder_free(b);
    arena_free(a);
}

static void names_have_limits(void **state)
{
    fixture *f = *state;
    char name[400];
    status st;
    memset(name, 'k', sizeof name);
    for (int over = 0; over < 2; over++) {
        status_class want = over ? STATUS_INVALID : STATUS_OK;
        name[JOURNAL_KEY_MAX + over] = '\0';
        journal_key key = {.wid = 1, .key = name};
        journal_submission s = {.key = &key};
        assert_int_equal(journal_submit_wait(f->j, &s, &st), want);
        name[JOURNAL_KEY_MAX + over] = 'k';
        name[JOURNAL_INSTANCE_MAX + over] = '\0';
        journal_cursor cursor = {.wid = 1, .instance = name};
        s = (journal_submission){.cursor = &cursor};
        assert_int_equal(journal_submit_wait(f->j, &s, &st), want);
        name[JOURNAL_INSTANCE_MAX + over] = 'k';
    }
}

/* ---- damage ---- */

/* Turns one byte of the record's value over, behind LMDB's back. */
static void damage_part(fixture *f, const char *needle, size_t len)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    FILE *file = fopen(path, "r+b");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    char *bytes = malloc(size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, size, file), size);
    unsigned found = 0;
    for (char *p = bytes; (p = memmem(p, (size_t)(bytes + size - p), needle, len)); p++) {
        fseek(file, p - bytes, SEEK_SET);
        fputc(needle[0] ^ 1, file);
        found++;
    }
    assert_true(found > 0);
    fclose(file);
    free(bytes);
}

static void damage_costs_its_record_only(void **state)
{
    fixture *f = *state;
    batch none = {0};
    status st;
    for (int i = 0; i < 5; i++) {
        char payload[9000];
        memset(payload, 'a' + i, sizeof payload);
        memcpy(payload + 6000, i == 2 ? "find me here" : "nothing here", 12);
        journal_entry e = entry_of(&none);
        e.kind = JOURNAL_RAW;
        e.payload = payload;
        e.payload_len = sizeof payload;
        journal_submission s = {.entries = &e, .n_entries = 1};
        assert_int_equal(journal_submit_wait(f->j, &s, &st), STATUS_OK);
    }
    journal_close(f->j);
    f->j = NULL;
    damage_part(f, "find me here", 12);
    open_again(f);
    arena *a = arena_create(0);
    const journal_record *r;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(read_all(f->j, 0, a, &r), 5);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(r[i].damaged, i == 2);
            assert_int_equal(r[i].seq, i + 1);
            assert_string_equal(r[i].store, "sensor_data");
        }
        assert_int_equal(journal_stats_get(f->j).damaged_records, 1);
    }
    char path[4300];
    snprintf(path, sizeof path, "%s/damaged/%u-3.parts", f->folder, the_stream(f->j));
    assert_int_equal(access(path, R_OK), 0);
    journal_trim(f->j, the_stream(f->j), 3);
    wait_trimmed(f->j, 3);
    must_submit(f->j, 1, 1);
    assert_int_equal(read_all(f->j, 3, a, &r), 3);
    arena_free(a);
}

static void broken_records_are_refused(void **state)
{
    (void)state;
    batch_builder *b = rows_of(20, 0);
    batch rows = batch_builder_freeze(b);
    journal_entry e = entry_of(&rows);
    status st;
    void *data;
    size_t len;
    uint64_t seed = test_seed();
    assert_int_equal(record_encode(&e, &data, &len, &st), STATUS_OK);
    for (unsigned i = 0; i < 20000; i++) { /* no CRC here: decoding alone must stay inside the bytes */
        arena *a = arena_create(0);
        journal_record out;
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        size_t cut = i % 3 ? len : (seed >> 33) % (len + 1);
        char *copy = memcpy(malloc(cut + 1), data, cut);
        if (cut)
            copy[(seed >> 20) % cut] ^= (char)(1U << (seed >> 60 & 7));
        record_decode(copy, cut, a, &out);
        free(copy);
        arena_free(a);
    }
    free(data);
    batch_builder_free(b);
}

/* Rows of the next journal are newer than all of a lost one: "later wins" goes on being right. */
static void rows_are_numbered_on_after_a_lost_journal(void **state)
{
    fixture *f = *state;
    arena *a = arena_create(0);
    const journal_record *r;
    char path[4300];
    must_submit(f->j, 5, 1);
    assert_int_equal(read_all(f->j, 0, a, &r), 1);
    int64_t before = r[0].first_row + 5;
    journal_close(f->j);
    f->j = NULL;
    snprintf(path, sizeof path, "%s/data.mdb", f->folder);
    assert_int_equal(unlink(path), 0);
    open_again(f);
    assert_true(journal_is_new(f->j));
    must_submit(f->j, 1, 1);
    assert_int_equal(read_all(f->j, 0, a, &r), 1);
    assert_true(r[0].first_row >= before);
    arena_free(a);
}

static void one_owner_at_a_time(void **state)
{
    fixture *f = *state;
    journal *second;
    status st;
    assert_int_equal(journal_open(&f->settings, &second, &st), STATUS_CONFLICT);
}

static void crc_is_castagnoli(void **state)
{
    (void)state;
    uint8_t bytes[100];
    assert_int_equal(journal_crc(0, "123456789", 9), 0xe3069283);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37);
        assert_int_equal(journal_crc(7, bytes, i), journal_crc_table(7, bytes, i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(broken_records_are_refused),
        cmocka_unit_test_setup_teardown(records_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_types_and_kinds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(big_records_and_read_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trims_free_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fills_empties_and_fills_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_has_its_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cursors_and_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_have_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_costs_its_record_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_are_numbered_on_after_a_lost_journal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_owner_at_a_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
