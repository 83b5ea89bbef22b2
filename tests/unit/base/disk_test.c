/* The disk's seam: a file that is written is the old one or the new one, whatever fails on the way. */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"

/* A disk that fails at the n-th operation. */
static int operations_left;

static bool fails(void)
{
    return operations_left-- == 0;
}

static int failing_open(const char *path, int flags, mode_t mode)
{
    errno = EIO;
    return fails() ? -1 : open(path, flags | O_CLOEXEC, mode);
}

static ssize_t failing_read(int fd, void *out, size_t len)
{
    errno = EIO;
    return fails() ? -1 : read(fd, out, len);
}

static ssize_t failing_write(int fd, const void *data, size_t len)
{
    errno = ENOSPC;
    if (fails())
        return -1;
    return write(fd, data, len > 3 ? 3 : len); /* and never all at once */
}

static int failing_sync(int fd)
{
    errno = EIO;
    return fails() ? -1 : fsync(fd);
}

static int failing_rename(const char *from, const char *to)
{
    errno = EIO;
    return fails() ? -1 : rename(from, to);
}

static int64_t no_space(const char *path, int64_t *total_out)
{
    (void)path, (void)total_out;
    return 0;
}

static const disk_operations failing_disk = {failing_open, failing_read,   failing_write,
                                             failing_sync, failing_rename, no_space};

static void holds(const char *path, const char *old, const char *new)
{
    status st;
    text content = {0};
    disk_use(NULL);
    assert_int_equal(disk_read(path, 1000, &content, &st), STATUS_OK);
    assert_true(strcmp(content.data, old) == 0 || strcmp(content.data, new) == 0);
    text_free(&content);
}

static void a_write_is_all_or_nothing(void **state)
{
    (void)state;
    char *folder = test_folder(), path[4200];
    status st = {0};
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(disk_write(path, "old content", 11, 0644, &st), STATUS_OK);
    int n = 0;
    status_class class;
    do {
        operations_left = n++;
        disk_use(&failing_disk);
        class = disk_write(path, "new content", 11, 0644, &st);
        disk_use(NULL);
        holds(path, "old content", "new content");
        if (class != STATUS_OK)
            assert_true(st.text[0] && strchr(st.where, '/'));
    } while (class != STATUS_OK);
    assert_true(n > 6); /* open, four writes, sync, rename, the folder */
    holds(path, "new content", "new content");
    test_folder_remove(folder);
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    (void)state;
    char *folder = test_folder(), path[4200];
    struct stat info;
    status st;
    mode_t before = umask(077);
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(disk_write(path, "x", 1, 0644, &st), STATUS_OK);
    umask(before);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
    test_folder_remove(folder);
}

static void reads_up_to_the_limit(void **state)
{
    (void)state;
    char *folder = test_folder(), path[4200];
    status st;
    text content = {0};
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(disk_write(path, "0123456789", 10, 0600, &st), STATUS_OK);
    assert_int_equal(disk_read(path, 10, &content, &st), STATUS_OK);
    text_clear(&content);
    assert_int_equal(disk_read(path, 9, &content, &st), STATUS_LIMIT);
    text_clear(&content);
    assert_int_equal(disk_read("/nowhere/at/all", 9, &content, &st), STATUS_NOT_FOUND);
    disk_use(&failing_disk);
    assert_int_equal(disk_free_bytes("/", NULL), 0);
    disk_use(NULL);
    assert_true(disk_free_bytes("/", NULL) > 0);
    text_free(&content);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_is_all_or_nothing),
        cmocka_unit_test(modes_do_not_depend_on_the_umask),
        cmocka_unit_test(reads_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
