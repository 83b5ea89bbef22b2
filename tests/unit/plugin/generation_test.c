/* What a host remembers of its plugins: lines, their document, copies, and a disk that does not write. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "plugin/generation.h"
#include "plugin/plugin_copy.h"
#include "support/check.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static void lines_remember_the_version_before(void **state)
{
    (void)state;
    generations g = {0};
    generation_line *line = generations_add(&g, "it");
    assert_ptr_equal(generations_find(&g, "it"), line);
    assert_null(generations_find(&g, "that"));
    generation_advance(line, A, "1", 10);
    assert_string_equal(line->current.hash, A);
    assert_string_equal(line->previous.hash, "");
    generation_refuse(line, C, "3", "it is bad", 15);
    generation_advance(line, B, "2", 20);
    assert_null(line->refused_why);
    assert_string_equal(line->previous.hash, A);
    line->pinned = true;
    generation_advance(line, B, "2", 30); /* the same once more: loaded again */
    assert_int_equal(line->current.since_us, 20);
    assert_string_equal(line->previous.hash, A);
    assert_false(line->pinned);
    generation_advance(line, A, "1", 40); /* back */
    assert_string_equal(line->previous.hash, B);
    generation_hold_back(line, "ws", "model:m", C, "no");
    assert_true(generations_use(&g, A) && generations_use(&g, B) && generations_use(&g, C));
    generation_let_go(line, "ws", "model:m");
    assert_false(generations_use(&g, C));
    generations_free(&g);
}

static void expect_same(const generations *a, const generations *b)
{
    json_t *one = generations_document(a), *other = generations_document(b);
    assert_true(json_equal(one, other));
    json_decref(one);
    json_decref(other);
}

static void the_document_says_all_again(void **state)
{
    (void)state;
    status st;
    char path[4096], *folder = test_folder();
    generations g = {0}, read;
    snprintf(path, sizeof path, "%s/" GENERATION_FILE, folder);
    assert_int_equal(generations_read(path, &read, &st), STATUS_OK); /* missing is empty */
    assert_int_equal(read.n_lines, 0);
    generation_line *line = generations_add(&g, "one");
    generation_advance(line, A, "1", 10);
    generation_advance(line, B, "2", 20);
    generation_refuse(line, C, "3", "it is \"bad\"", 30);
    generation_hold_back(line, "ws", "model:m", A, "its config does not fit");
    line->pinned = true;
    line = generations_add(&g, "two");
    generation_advance(line, C, "1", 10);
    line->unloaded = true;
    generations_note_file(&g, "/plugins/one.so", B, "one");
    generations_note_file(&g, "/plugins/one.so", C, NULL); /* broken since: whose place it took stays known */
    assert_string_equal(generations_file(&g, "/plugins/one.so")->id, "one");
    json_t *document = generations_document(&g);
    char *words = json_dumps(document, 0);
    assert_int_equal(disk_write(path, words, strlen(words), 0644, &st), STATUS_OK);
    assert_int_equal(generations_read(path, &read, &st), STATUS_OK);
    expect_same(&g, &read);
    const generation_holdback *held = generation_held_back(generations_find(&read, "one"), "ws", "model:m");
    assert_non_null(held);
    assert_string_equal(held->hash, A);
    generations_free(&read);
    assert_int_equal(disk_write(path, words, strlen(words) / 2, 0644, &st), STATUS_OK);
    assert_int_equal(generations_read(path, &read, &st), STATUS_INVALID);
    assert_int_equal(read.n_lines, 0);
    assert_int_equal(disk_write(path, "{}", 2, 0644, &st), STATUS_OK);
    assert_int_equal(generations_read(path, &read, &st), STATUS_INVALID);
    free(words);
    json_decref(document);
    generations_free(&g);
    test_folder_remove(folder);
}

static void copies_are_what_their_name_says(void **state)
{
    (void)state;
    status st;
    struct stat facts;
    char hash[COPY_HASH_TEXT], path[COPY_PATH_BYTES], *folder = test_folder();
    copy_hash("hello", 5, hash);
    assert_int_equal(strlen(hash), 64);
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_NOT_FOUND);
    assert_int_equal(copy_keep(folder, "hello", 5, hash, &st), STATUS_OK);
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_OK);
    copy_path(folder, hash, path);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0444);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_INVALID);
    assert_non_null(strstr(st.text, "damaged"));
    assert_int_equal(copy_keep(folder, "hello", 5, hash, &st), STATUS_OK); /* put right */
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_OK);
    test_folder_remove(folder);
}

static bool never(void *arg, const char *hash)
{
    (void)arg, (void)hash;
    return false;
}

static void pruning_takes_copies_alone(void **state)
{
    (void)state;
    status st;
    char hash[COPY_HASH_TEXT], path[COPY_PATH_BYTES + 8], *folder = test_folder();
    copy_hash("hello", 5, hash);
    assert_int_equal(copy_keep(folder, "hello", 5, hash, &st), STATUS_OK);
    snprintf(path, sizeof path, "%s/other.so", folder);
    assert_int_equal(disk_write(path, "x", 1, 0644, &st), STATUS_OK);
    copy_prune(folder, never, NULL);
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_NOT_FOUND);
    assert_true(disk_exists(path));
    test_folder_remove(folder);
}

/* Renames go wrong as on a full disk. */
static int no_rename(const char *from, const char *to)
{
    (void)from, (void)to;
    errno = ENOSPC;
    return -1;
}

static int64_t plenty(const char *path, int64_t *total_out)
{
    (void)path;
    if (total_out)
        *total_out = INT64_MAX;
    return INT64_MAX;
}

static int any_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static void a_full_disk_leaves_no_half_copy(void **state)
{
    (void)state;
    status st;
    char hash[COPY_HASH_TEXT], *folder = test_folder();
    copy_hash("hello", 5, hash);
    disk_use(&(disk_operations){any_open, read, write, fsync, no_rename, plenty});
    assert_int_not_equal(copy_keep(folder, "hello", 5, hash, &st), STATUS_OK);
    disk_use(NULL);
    assert_int_equal(copy_verify(folder, hash, &st), STATUS_NOT_FOUND);
    assert_int_equal(copy_keep(folder, "hello", 5, hash, &st), STATUS_OK);
    test_folder_remove(folder);
}

static void sources_are_plain_settled_files(void **state)
{
    (void)state;
    status st;
    text bytes = {0};
    char file[4096], link[4096], *folder = test_folder();
    snprintf(file, sizeof file, "%s/a.so", folder);
    snprintf(link, sizeof link, "%s/b.so", folder);
    assert_int_equal(disk_write(file, "hello", 5, 0644, &st), STATUS_OK);
    assert_int_equal(copy_read_source(file, &bytes, &st), STATUS_OK);
    assert_string_equal(bytes.data, "hello");
    text_clear(&bytes);
    assert_int_equal(symlink(file, link), 0);
    assert_int_equal(copy_read_source(link, &bytes, &st), STATUS_INVALID);
    assert_non_null(strstr(st.text, "symbolic link"));
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkfifo(link, 0600), 0);
    assert_int_equal(copy_read_source(link, &bytes, &st), STATUS_INVALID);
    assert_non_null(strstr(st.text, "no plain file"));
    assert_int_equal(truncate(file, PLUGIN_FILE_MAX_BYTES + 1), 0);
    assert_int_equal(copy_read_source(file, &bytes, &st), STATUS_LIMIT);
    text_free(&bytes);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_remember_the_version_before),
        cmocka_unit_test(the_document_says_all_again),
        cmocka_unit_test(copies_are_what_their_name_says),
        cmocka_unit_test(pruning_takes_copies_alone),
        cmocka_unit_test(a_full_disk_leaves_no_half_copy),
        cmocka_unit_test(sources_are_plain_settled_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
