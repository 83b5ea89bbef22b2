/* The catalog finds what is dropped in, also while it watches, and lists what cannot be used with its reason.
 */
#include "stand.h"

#include <stdatomic.h>

static nursery *spawner;

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nursery_stop(spawner);
    return 0;
}

static void describes_a_plugin(void **state)
{
    (void)state;
    stand s;
    status st;
    const char *plugins[] = {"echo_source", NULL};
    stand_up(&s, spawner, plugins);
    const plugin_entry *e = catalog_find(s.catalog, "org.penstock.test.echo-source", &st);
    assert_non_null(e);
    assert_int_equal(e->kind, PLUGIN_CONNECTOR);
    assert_string_equal(plugin_kind_name(e->kind), "connector");
    assert_string_equal(e->version, "1.0.0");
    assert_string_equal(e->licence, "Apache-2.0");
    assert_int_equal(strlen(e->hash), 64);
    assert_non_null(strstr(e->path, e->hash));
    assert_int_equal(access(e->path, R_OK), 0);
    assert_true(plugin_entry_offers(e, "penstock.connector.source/1/draft"));
    assert_false(plugin_entry_offers(e, "penstock.notifier.send/1/draft"));
    assert_int_equal(e->n_interfaces, 4);
    assert_int_equal(e->n_metrics, 2);
    assert_string_equal(e->metrics[1].name, "acked");
    assert_true(json_is_object(e->config_schema));
    assert_null(catalog_find(s.catalog, "org.penstock.test.echo-sauce", &st));
    assert_string_equal(st.hint, "did you mean org.penstock.test.echo-source?");
    plugin_entry_release(e);
    stand_down(&s);
}

static void completes_and_checks_a_config(void **state)
{
    (void)state;
    stand s;
    status st;
    const char *plugins[] = {"echo_source", NULL};
    stand_up(&s, spawner, plugins);
    const plugin_entry *e = catalog_find(s.catalog, "org.penstock.test.echo-source", &st);
    json_t *given = json_pack("{s:i}", "rows", 7), *complete;
    must(plugin_config_complete(e, given, &complete, &st), &st);
    assert_int_equal(json_integer_value(json_object_get(complete, "rows")), 7);
    assert_true(json_is_false(json_object_get(complete, "raw")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(complete, "nested"), "depth")), 3);
    assert_int_equal(json_object_size(given), 1);
    json_decref(complete);
    json_object_set_new(given, "rows", json_string("many"));
    assert_int_equal(plugin_config_complete(e, given, &complete, &st), STATUS_INVALID);
    assert_string_equal(st.where, "/rows");
    assert_null(complete);
    json_decref(given);
    plugin_entry_release(e);
    stand_down(&s);
}

typedef struct listing {
    const char *file;
    char broken[512];
    unsigned n;
} listing;

static void on_entry(const plugin_entry *e, void *arg)
{
    listing *l = arg;
    l->n++;
    if (strstr(e->file, l->file))
        snprintf(l->broken, sizeof l->broken, "%s", e->broken ? e->broken : "(fine)");
}

static void expect_broken(stand *s, const char *file, const char *says)
{
    listing l = {.file = file};
    catalog_list(s->catalog, on_entry, &l);
    if (!strstr(l.broken, says))
        print_error("%s: %s\n", file, l.broken);
    assert_non_null(strstr(l.broken, says));
}

static void lists_what_cannot_be_used_with_its_reason(void **state)
{
    (void)state;
    stand s;
    status st;
    char path[4200];
    const char *plugins[] = {"hostile_crash", "hostile_exit", "hostile_hang", "two_exports", NULL};
    stand_up(&s, spawner, plugins);
    snprintf(path, sizeof path, "%s/text.so", s.plugins);
    must(disk_write(path, "hello", 5, 0644, &st), &st);
    snprintf(path, sizeof path, "%s/half.so", s.plugins);
    text whole = {0};
    must(disk_read(TEST_PLUGINS "/echo_source.so", PLUGIN_FILE_MAX_BYTES, &whole, &st), &st);
    must(disk_write(path, whole.data, whole.len / 2, 0644, &st), &st);
    text_free(&whole);
    snprintf(path, sizeof path, "%s/empty.so", s.plugins);
    must(disk_write(path, "", 0, 0644, &st), &st);
    catalog_scan(s.catalog);
    expect_broken(&s, "hostile_crash", "ends while it is read");
    expect_broken(&s, "hostile_exit", "ends while it is read: exit code 0");
    expect_broken(&s, "hostile_hang", "does not describe itself within 5 s");
    expect_broken(&s, "two_exports", "exports penstock_second_symbol beside penstock_plugin_v1");
    expect_broken(&s, "text.so", "not a shared object");
    expect_broken(&s, "half.so", "broken section table");
    expect_broken(&s, "empty.so", "empty");
    stand_down(&s);
}

static atomic_uint changes;

static void on_change(void *arg)
{
    (void)arg;
    changes++;
}

static const plugin_entry *find_within(stand *s, const char *id, int ms)
{
    status st;
    const plugin_entry *e = NULL;
    for (int i = 0; !e && i < ms / 10; i++) {
        usleep(10000);
        e = catalog_find(s->catalog, id, &st);
    }
    return e;
}

static void on_line_gone(const plugin_line *line, void *arg)
{
    *(bool *)arg = line->file_gone;
}

static void finds_what_is_dropped_in_while_it_runs(void **state)
{
    (void)state;
    stand s;
    status st;
    char folder[4200], path[4300];
    stand_up(&s, spawner, NULL);
    must(catalog_watch(s.catalog, on_change, NULL, &st), &st);
    assert_null(catalog_find(s.catalog, "org.penstock.test.echo-model", &st));
    stand_drop_in(&s, "echo_model", "model");
    const plugin_entry *e = find_within(&s, "org.penstock.test.echo-model", 5000);
    assert_non_null(e);

    /* In a sub-folder that was not there, written slowly. */
    snprintf(folder, sizeof folder, "%s/connectors", s.plugins);
    must(disk_make_folder(folder, 0755, &st), &st);
    snprintf(path, sizeof path, "%s/slow.so", folder);
    text whole = {0};
    must(disk_read(TEST_PLUGINS "/echo_source.so", PLUGIN_FILE_MAX_BYTES, &whole, &st), &st);
    FILE *slow = fopen(path, "w");
    assert_non_null(slow);
    fwrite(whole.data, 1, whole.len / 2, slow);
    fflush(slow);
    usleep(300000);
    assert_null(catalog_find(s.catalog, "org.penstock.test.echo-source", &st));
    fwrite(whole.data + whole.len / 2, 1, whole.len - whole.len / 2, slow);
    fclose(slow);
    text_free(&whole);
    const plugin_entry *slowly = find_within(&s, "org.penstock.test.echo-source", 5000);
    assert_non_null(slowly);
    plugin_entry_release(slowly);

    /* Taken away: its copy serves on, and the listing says so. */
    snprintf(path, sizeof path, "%s/model.so", s.plugins);
    assert_int_equal(unlink(path), 0);
    bool gone = false;
    for (int i = 0; i < 500 && !gone; i++) {
        usleep(10000);
        catalog_lines(s.catalog, "org.penstock.test.echo-model", on_line_gone, &gone);
    }
    assert_true(gone);
    const plugin_entry *still = catalog_find(s.catalog, "org.penstock.test.echo-model", &st);
    assert_ptr_equal(still, e);
    plugin_entry_release(still);
    assert_string_equal(e->id, "org.penstock.test.echo-model");
    assert_true(changes >= 2);
    plugin_entry_release(e);
    stand_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describes_a_plugin),
        cmocka_unit_test(completes_and_checks_a_config),
        cmocka_unit_test(lists_what_cannot_be_used_with_its_reason),
        cmocka_unit_test(finds_what_is_dropped_in_while_it_runs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
