/* The csv connector: records as they lie in files, each one once after crashes at any batch, rotation,
 * truncation, new files, gzip, and what becomes a reject. */
#include "support/check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "plugin_bench.h"
#include "record.h"

static const pst_source *source(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_SOURCE);
}

typedef struct taken { /* what came out, records joined by '\n' */
    char text[65536];
    size_t len;
    unsigned rows, rejects, batches;
    char meta[256], reason[256];
    char cursor[8192];
    size_t cursor_len;
} taken;

static void take_batch(taken *t, const pst_batch *batch)
{
    pst_column payload, meta;
    assert_true(batch->flags & PST_BATCH_RAW);
    assert_int_equal(pst_column_find(&batch->schema, &batch->array, "_payload", &payload, NULL), PST_OK);
    assert_int_equal(pst_column_find(&batch->schema, &batch->array, "_meta", &meta, NULL), PST_OK);
    for (uint32_t i = 0; i < payload.rows; i++) {
        pst_bytes p = pst_column_bytes(&payload, i);
        assert_true(t->len + p.len + 1 < sizeof t->text);
        memcpy(t->text + t->len, p.data, p.len);
        t->len += p.len;
        t->text[t->len++] = '\n';
        t->text[t->len] = '\0';
        t->rows++;
        if (!pst_column_null(&meta, i)) {
            pst_bytes m = pst_column_bytes(&meta, i);
            snprintf(t->meta, sizeof t->meta, "%.*s", (int)m.len, (const char *)m.data);
        }
    }
    if (batch->n_rejects)
        snprintf(t->reason, sizeof t->reason, "%s", batch->rejects[batch->n_rejects - 1].reason);
    t->rejects += (unsigned)batch->n_rejects;
    t->batches++;
    assert_true(batch->cursor.len && batch->cursor.len < sizeof t->cursor);
    memcpy(t->cursor, batch->cursor.data, batch->cursor.len);
    t->cursor_len = batch->cursor.len;
}

/* Reads until nothing more comes; returns what the last read said. */
static pst_status drain(plugin_bench *b, taken *t, uint32_t max_rows, unsigned max_batches)
{
    pst_call call = plugin_bench_call();
    for (unsigned n = 0; n < max_batches; n++) {
        pst_batch batch = plugin_bench_batch();
        pst_status st = source()->read(b->self, &call, max_rows, &batch, &b->error);
        if (st)
            return st;
        take_batch(t, &batch);
        plugin_bench_release(&batch);
    }
    return PST_OK;
}

static void open_at(plugin_bench *b, const char *config, const taken *t)
{
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(b, config), PST_OK);
    assert_int_equal(source()->open(b->self, &call, (pst_bytes){t->cursor, t->cursor_len}, &b->error),
                     PST_OK);
}

typedef struct folder {
    char *path, config[512];
    plugin_bench bench;
    taken t;
} folder;

static void write_file(const folder *f, const char *name, const char *mode, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    size_t n = strlen(name);
    if (n > 3 && !strcmp(name + n - 3, ".gz")) {
        gzFile gz = gzopen(path, *mode == 'w' ? "wb" : "ab");
        gzwrite(gz, text, (unsigned)strlen(text));
        gzclose(gz);
        return;
    }
    FILE *out = fopen(path, mode);
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static int setup(void **state)
{
    folder *f = calloc(1, sizeof *f);
    f->path = test_folder();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    folder *f = *state;
    plugin_bench_close(&f->bench);
    test_folder_remove(f->path);
    free(f);
    return 0;
}

static void begin(folder *f, const char *name, const char *more)
{
    snprintf(f->config, sizeof f->config, "{\"path\": \"%s/%s\"%s}", f->path, name, more);
    open_at(&f->bench, f->config, &f->t);
}

/* As after a kill: everything is gone but the cursor of the last batch. */
static void crash(folder *f)
{
    plugin_bench_close(&f->bench);
    open_at(&f->bench, f->config, &f->t);
}

static void records_and_header(void **state)
{
    folder *f = *state;
    write_file(f, "a.csv", "w",
               "\xef\xbb\xbftime,text\r\n1,x\r\n2,\"two\nlines, \"\"quoted\"\"\"\r\n\r\n3,a \"b\" c\n4,tail");
    begin(f, "a.csv", "");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_END);
    assert_string_equal(f->t.text, "1,x\n2,\"two\nlines, \"\"quoted\"\"\"\n3,a \"b\" c\n4,tail\n");
    assert_string_equal(f->t.meta, "time,text");
    assert_int_equal(f->t.rejects, 0);
}

static void ndjson_has_no_header_and_no_quotes(void **state)
{
    folder *f = *state;
    write_file(f, "a.ndjson", "w", "{\"a\":1}\n{\"a\":\"\\\"\"}\n\n{\"a\":3}");
    begin(f, "a.ndjson", "");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_END);
    assert_string_equal(f->t.text, "{\"a\":1}\n{\"a\":\"\\\"\"}\n{\"a\":3}\n");
    assert_string_equal(f->t.meta, "");
}

/* Kills after a random number of batches of random size; what was acked comes once and in order. */
static void each_record_once_after_kills(void **state)
{
    folder *f = *state;
    uint64_t seed = test_seed();
    char expected[32768] = "", line[64];
    for (int file = 0; file < 4; file++) {
        char name[32];
        snprintf(name, sizeof name, "part-%d.csv%s", file, file % 2 ? ".gz" : "");
        write_file(f, name, "w", "n,text\n");
        for (int i = 0; i < 200; i++) {
            snprintf(line, sizeof line, "%d,\"%d\n%d\"\n", file * 1000 + i, i, i * 7);
            write_file(f, name, "a", line);
            strcat(expected, line);
        }
    }
    begin(f, "part-*", "");
    for (unsigned kills = 0;; kills++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        if (drain(&f->bench, &f->t, 1 + (uint32_t)(seed >> 60), 1 + (unsigned)(seed >> 40) % 9) == PST_END)
            break;
        pst_batch lost = plugin_bench_batch(); /* read, never acked */
        pst_call call = plugin_bench_call();
        source()->read(f->bench.self, &call, 5, &lost, &f->bench.error);
        plugin_bench_release(&lost);
        crash(f);
        assert_true(kills < 2000);
    }
    assert_int_equal(f->t.rows, 800);
    assert_string_equal(f->t.text, expected);
    assert_int_equal(f->t.rejects, 0);
}

static void following_waits_for_whole_records(void **state)
{
    folder *f = *state;
    begin(f, "a.csv", ", \"follow\": true");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    write_file(f, "a.csv", "w", "n,te");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    write_file(f, "a.csv", "a", "xt\n1,a\n2,\"half");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1,a\n");
    crash(f);
    write_file(f, "a.csv", "a", "\nmore\"\n3,c\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1,a\n2,\"half\nmore\"\n3,c\n");
    assert_string_equal(f->t.meta, "n,text");
}

static void rotate(folder *f)
{
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/a.csv", f->path);
    snprintf(to, sizeof to, "%s/a.csv.1", f->path);
    assert_int_equal(rename(from, to), 0);
}

static void rotation_by_renaming(void **state)
{
    folder *f = *state;
    write_file(f, "a.csv", "w", "n\n1\n");
    begin(f, "a.csv", ", \"follow\": true");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    rotate(f);
    write_file(f, "a.csv.1", "a", "2\n"); /* the writer still has the old file open */
    write_file(f, "a.csv", "w", "n\n3\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n3\n");
}

static void rotation_while_stopped(void **state)
{
    folder *f = *state;
    write_file(f, "a.csv", "w", "n\n1\n");
    begin(f, "a.csv", ", \"follow\": true");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    write_file(f, "a.csv", "a", "2\n");
    rotate(f);
    write_file(f, "a.csv", "w", "n\n3\n");
    crash(f);
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n3\n");
}

static void truncation_starts_anew(void **state)
{
    folder *f = *state;
    write_file(f, "a.csv", "w", "n\n1\n2\n3\n4\n");
    begin(f, "a.csv", ", \"follow\": true");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    write_file(f, "a.csv", "w", "n\n5\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n3\n4\n5\n");
    crash(f);
    write_file(f, "a.csv", "w", "m\n6\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n3\n4\n5\n6\n");
    assert_string_equal(f->t.meta, "m");
}

static void new_files_while_following(void **state)
{
    folder *f = *state;
    write_file(f, "b.csv", "w", "n\n2"); /* the tail has no newline */
    write_file(f, "a.csv.gz", "w", "n\n1\n");
    write_file(f, ".hidden", "w", "n\n0\n");
    begin(f, "", ", \"follow\": true");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n");
    write_file(f, "c.csv", "w", "m\n3\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n3\n");
    assert_string_equal(f->t.meta, "m");
}

static void long_records_become_rejects(void **state)
{
    folder *f = *state;
    for (int n = 31; n <= 33; n++) { /* the limit is 32 */
        char text[256] = "n\n1\n";
        for (int i = 0; i < n; i++)
            strcat(text, "x");
        strcat(text, "\n2\n\"open\n3\n");
        write_file(f, "a.csv", "w", text);
        memset(&f->t, 0, sizeof f->t);
        begin(f, "a.csv", ", \"max_record_bytes\": 32");
        assert_int_equal(drain(&f->bench, &f->t, 1, 100), PST_END);
        assert_int_equal(f->t.rows, n <= 32 ? 4 : 3);
        assert_int_equal(f->t.rejects, n <= 32 ? 1 : 2);
        assert_string_equal(f->t.reason, "a quote is never closed");
        plugin_bench_close(&f->bench);
    }
    write_file(f, "a.csv", "w", "");
    begin(f, "a.csv", "");
}

/* A record longer than all buffers, not finished when its start is seen; a crash in the middle. */
static void a_long_record_that_grows(void **state)
{
    folder *f = *state;
    char big[4096];
    memset(big, 'y', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    write_file(f, "a.csv", "w", "n\n1\n");
    begin(f, "a.csv", ", \"follow\": true, \"max_record_bytes\": 100");
    for (int i = 0; i < 50; i++) {
        write_file(f, "a.csv", "a", big);
        assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
        if (i == 25)
            crash(f);
    }
    write_file(f, "a.csv", "a", "\n2\n");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_IDLE);
    assert_string_equal(f->t.text, "1\n2\n");
    assert_int_equal(f->t.rejects, 1);
    assert_string_equal(f->t.reason, "longer than 100 bytes");
}

static void torn_gzip_is_reported(void **state)
{
    folder *f = *state;
    char path[512];
    write_file(f, "a.csv.gz", "w", "n\n1\n2\n");
    write_file(f, "b.csv", "w", "n\n3\n");
    snprintf(path, sizeof path, "%s/a.csv.gz", f->path);
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(truncate(path, s.st_size - 6), 0);
    begin(f, "", "");
    assert_int_equal(drain(&f->bench, &f->t, 100, 10), PST_END);
    assert_string_equal(f->t.text, "1\n2\n3\n");
    assert_int_equal(f->t.rejects, 1);
}

static void a_missing_file_names_the_path(void **state)
{
    folder *f = *state;
    snprintf(f->config, sizeof f->config, "{\"path\": \"%s/none.csv\"}", f->path);
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(&f->bench, f->config), PST_OK);
    assert_int_equal(source()->open(f->bench.self, &call, (pst_bytes){0}, &f->bench.error), PST_E_CONFIG);
    assert_string_equal(f->bench.error.where, "/path");
    assert_int_equal(source()->open(f->bench.self, &call, (pst_bytes){"v2 1 2", 6}, &f->bench.error),
                     PST_E_DATA);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(records_and_header),           T(ndjson_has_no_header_and_no_quotes),
        T(each_record_once_after_kills), T(following_waits_for_whole_records),
        T(rotation_by_renaming),         T(rotation_while_stopped),
        T(truncation_starts_anew),       T(new_files_while_following),
        T(long_records_become_rejects),  T(a_long_record_that_grows),
        T(torn_gzip_is_reported),        T(a_missing_file_names_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
