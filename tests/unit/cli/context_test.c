/* The contexts file: written privately, read strictly. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/disk.h"
#include "context.h"

static status st;

static status_class read_text(const char *folder, const char *content, mode_t mode, context *c)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    assert_int_equal(disk_write(path, content, strlen(content), mode, &st), STATUS_OK);
    return context_read(path, c, &st);
}

static void what_is_put_comes_back(void **state)
{
    (void)state;
    char *folder = test_folder(), path[4200];
    context c, again;
    struct stat found;
    snprintf(path, sizeof path, "%s/deep/er/config.yaml", folder);
    assert_int_equal(context_read(path, &c, &st), STATUS_OK);
    context_put(&c, "plant \"a\": #1", "http://h:1", "psk_x", NULL, true);
    context_put(&c, "b", "http://h:2", NULL, "w", false);
    assert_int_equal(context_write(&c, &st), STATUS_OK);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(context_read(path, &again, &st), STATUS_OK);
    assert_true(json_equal(c.file, again.file));
    context_release(&c);
    context_release(&again);
    test_folder_remove(folder);
}

static void wrong_files_are_refused(void **state)
{
    (void)state;
    char *folder = test_folder();
    context c;
    assert_int_equal(read_text(folder, "current: a\ncontexts: {a: {url: x}}\n", 0600, &c), STATUS_OK);
    context_release(&c);
    assert_int_equal(read_text(folder, "current: a\n", 0644, &c), STATUS_DENIED);
    assert_non_null(strstr(st.hint, "chmod 600"));
    assert_int_equal(read_text(folder, "curent: a\n", 0600, &c), STATUS_INVALID);
    assert_non_null(strstr(st.hint, "`current`"));
    assert_non_null(strstr(st.where, "c.yaml:1:1"));
    assert_int_equal(read_text(folder, "contexts:\n  a:\n    ur: x\n", 0600, &c), STATUS_INVALID);
    assert_non_null(strstr(st.where, "c.yaml:3:5"));
    assert_int_equal(read_text(folder, "contexts: {a: 1}\n", 0600, &c), STATUS_INVALID);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(wrong_files_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
