/* Settings: order of the sources, refusals with suggestions, kinds and bounds, what changed on reload. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "config/settings.h"

static settings *loaded(int argc, const char *const *argv, const char *const *environment, const char *file)
{
    status st;
    settings *s = NULL;
    const settings_source source = {argc, argv, environment, file};
    if (settings_load(&source, &s, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    return s;
}

static status refused(int argc, const char *const *argv, const char *const *environment, const char *file)
{
    status st = {0};
    settings *s = NULL;
    const settings_source source = {argc, argv, environment, file};
    if (settings_load(&source, &s, &st) == STATUS_OK)
        fail_msg("was accepted");
    return st;
}

static void write_file(const char *path, const char *content)
{
    status st;
    assert_int_equal(disk_write(path, content, strlen(content), 0600, &st), STATUS_OK);
}

static void stronger_sources_win(void **state)
{
    (void)state;
    char *folder = test_folder(), file[512], more[512];
    status st;
    snprintf(file, sizeof file, "%s/penstock.yaml", folder);
    write_file(
        file,
        "listen: 127.0.0.1:1\nlog: {level: warn, format: json}\nwriters: 3\nplugins: {folders: [/a, /b]}\n");
    snprintf(more, sizeof more, "%s/conf.d", folder);
    assert_int_equal(disk_make_folder(more, 0700, &st), STATUS_OK);
    snprintf(more, sizeof more, "%s/conf.d/10.yaml", folder);
    write_file(more, "journal: {size: 1GiB}\nwriters: 4\n");
    const char *argv[] = {"--log-level=error", "--state", "/tmp/s"};
    const char *environment[] = {"PENSTOCK_LOG_LEVEL=debug", "PENSTOCK_LISTEN=127.0.0.1:2", "HOME=/",
                                 "PENSTOCK_SEED=1", NULL};
    settings *s = loaded(3, argv, environment, file);
    const char *const *items;
    assert_string_equal(settings_text(s, "listen"), "127.0.0.1:2");
    assert_string_equal(settings_origin(s, "listen"), "PENSTOCK_LISTEN");
    assert_string_equal(settings_text(s, "log.level"), "error");
    assert_string_equal(settings_origin(s, "log.level"), "--log-level");
    assert_string_equal(settings_text(s, "log.format"), "json");
    assert_non_null(strstr(settings_origin(s, "log.format"), "penstock.yaml:2:28"));
    assert_string_equal(settings_text(s, "state"), "/tmp/s");
    assert_int_equal(settings_integer(s, "writers"), 4);
    assert_int_equal(settings_integer(s, "journal.size"), 1 << 30);
    assert_int_equal(settings_integer(s, "limits.body_bytes"), 16 << 20);
    assert_int_equal(settings_integer(s, "limits.query_timeout"), 5000000);
    assert_null(settings_text(s, "public_url"));
    assert_int_equal(settings_list(s, "plugins.folders", &items), 2);
    assert_string_equal(items[1], "/b");
    text described = {0};
    settings_describe(s, &described);
    assert_non_null(strstr(described.data, "log.level = error  (--log-level)\n"));
    text_free(&described);
    settings_free(s);
    test_folder_remove(folder);
}

static void unknown_names_are_refused_with_a_suggestion(void **state)
{
    (void)state;
    char *folder = test_folder(), file[512];
    snprintf(file, sizeof file, "%s/p.yaml", folder);
    write_file(file, "log:\n  levle: warn\n");
    status st = refused(0, NULL, NULL, file);
    assert_non_null(strstr(st.where, "p.yaml:2:3"));
    assert_non_null(strstr(st.text, "log.levle"));
    assert_non_null(strstr(st.hint, "log.level"));
    const char *argv[] = {"--listne=1"};
    st = refused(1, argv, NULL, NULL);
    assert_string_equal(st.where, "--listne");
    assert_non_null(strstr(st.hint, "listen"));
    const char *environment[] = {"PENSTOCK_LOG_LEVLE=warn", NULL};
    st = refused(0, NULL, environment, NULL);
    assert_non_null(strstr(st.hint, "log.level"));
    test_folder_remove(folder);
}

static void values_have_kinds_and_bounds(void **state)
{
    (void)state;
    const char *wrong[] = {"--writers=0",
                           "--writers=65",
                           "--writers=two",
                           "--log.level=loud",
                           "--journal.size=1MiB",
                           "--journal.size=4 GB",
                           "--limits.query_timeout=fast",
                           "--limits.body_bytes=-1",
                           "--listen",
                           "listen"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(refused(1, &wrong[i], NULL, NULL).class, STATUS_INVALID);
    const char *right[] = {"--writers=1", "--writers=64", "--plugins.folders=/a, /b", "--journal.size=64 MiB",
                           "--config=/nonexistent"};
    for (size_t i = 0; i < 4; i++)
        settings_free(loaded(1, &right[i], NULL, NULL));
    assert_int_equal(refused(1, &right[4], NULL, NULL).class, STATUS_NOT_FOUND);
}

static void note(void *arg, const setting_key *key)
{
    text_printf(arg, "%s%s ", key->name, key->reloadable ? "" : "!");
}

static void a_reload_knows_what_changed(void **state)
{
    (void)state;
    const char *before[] = {"--log.level=info", "--listen=127.0.0.1:1"},
               *after[] = {"--log.level=warn", "--listen=127.0.0.1:2"};
    settings *a = loaded(2, before, NULL, NULL), *b = loaded(2, after, NULL, NULL);
    text changed = {0};
    settings_compare(a, b, note, &changed);
    assert_string_equal(changed.data, "listen! log.level ");
    text_free(&changed);
    settings_free(a);
    settings_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stronger_sources_win),
        cmocka_unit_test(unknown_names_are_refused_with_a_suggestion),
        cmocka_unit_test(values_have_kinds_and_bounds),
        cmocka_unit_test(a_reload_knows_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
