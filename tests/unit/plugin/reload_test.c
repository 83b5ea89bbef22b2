/* Versions of one plugin with many instances: all switch, some refuse, all refuse; back and forth; restarts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/arena.h"
#include "plugin/instance_swap.h"
#include "plugin/reload.h"
#include "stand.h"

#define ID "org.penstock.test.versioned-metric"

static nursery *spawner;
static stand s;
static reload *r;
static char deeds[1024];

static void on_event(void *arg, const char *deed, const char *actor, const reload_result *result)
{
    (void)arg;
    size_t len = strlen(deeds);
    snprintf(deeds + len, sizeof deeds - len, "%s by %s: %u/%u. ", deed, actor, result->switched,
             result->refused);
}

static void make_reload(void)
{
    const reload_settings settings = {.catalog = s.catalog, .instances = s.set, .on_event = on_event};
    r = reload_create(&settings);
    deeds[0] = '\0';
}

static int setup(void **state)
{
    (void)state;
    const char *plugins[] = {NULL};
    stand_up(&s, spawner, plugins);
    stand_drop_in(&s, "versioned_metric_1", "it");
    catalog_scan(s.catalog);
    make_reload();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    reload_end(r);
    reload_free(r);
    stand_down(&s);
    return 0;
}

static int start_spawner(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    return 0;
}

static int stop_spawner(void **state)
{
    (void)state;
    nursery_stop(spawner);
    return 0;
}

/* The host ends and comes up again with the same folders. */
static void restart(void)
{
    status st;
    const char *folders[] = {s.plugins};
    const catalog_settings settings = {.folders = folders,
                                       .n_folders = 1,
                                       .state_folder = s.state,
                                       .cell_program = CELL_PROGRAM,
                                       .spawner = spawner};
    reload_free(r);
    catalog_free(s.catalog);
    must(catalog_create(&settings, &s.catalog, &st), &st);
    make_reload();
}

static instance *instance_in(const char *workspace, const char *config)
{
    status st;
    const plugin_entry *entry = catalog_find_for(s.catalog, ID, workspace, "it", &st);
    assert_non_null(entry);
    json_t *given = json_loads(config, 0, NULL), *complete;
    must(plugin_config_complete(entry, given, &complete, &st), &st);
    const instance_settings settings = {
        .plugin = entry, .workspace = workspace, .name = "it", .config = complete, .given = given};
    instance *in = instance_create(s.set, &settings);
    json_decref(given);
    json_decref(complete);
    plugin_entry_release(entry);
    return in;
}

static int64_t answered_by(instance *in)
{
    status st;
    instance_batch *b = NULL;
    must(instance_evaluate(in, NULL, "{}", NULL, NULL, 0, &b, &st), &st);
    int64_t version = ((const int64_t *)b->rows.columns[0].values)[0];
    instance_batch_free(b);
    return version;
}

static void put(const char *version)
{
    char name[64];
    snprintf(name, sizeof name, "versioned_metric_%s", version);
    stand_drop_in(&s, name, "it");
    reload_look(r);
}

typedef struct seen {
    char current[64], previous[64], refused[256], held[256];
    bool pinned, unloaded, gone;
} seen;

static void on_line(const plugin_line *line, void *arg)
{
    seen *out = arg;
    snprintf(out->current, sizeof out->current, "%s", line->current.version);
    snprintf(out->previous, sizeof out->previous, "%s", line->previous.hash ? line->previous.version : "");
    snprintf(out->refused, sizeof out->refused, "%s", line->refused_why ? line->refused_why : "");
    if (line->n_holdbacks)
        snprintf(out->held, sizeof out->held, "%s: %s", line->holdbacks[0].workspace, line->holdbacks[0].why);
    out->pinned = line->pinned;
    out->unloaded = line->unloaded;
    out->gone = line->file_gone;
}

static seen look(void)
{
    seen out = {0};
    assert_true(catalog_lines(s.catalog, ID, on_line, &out));
    return out;
}

static void a_new_file_is_taken_by_all(void **state)
{
    (void)state;
    instance *all[3] = {instance_in("a", "{}"), instance_in("b", "{}"), instance_in("c", "{}")};
    assert_int_equal(answered_by(all[0]), 1);
    put("2");
    for (int i = 0; i < 3; i++)
        assert_int_equal(answered_by(all[i]), 2);
    assert_string_equal(look().current, "2.0.0");
    assert_string_equal(look().previous, "1.0.0");
    assert_string_equal(deeds, "load by host: 3/0. ");
    reload_look(r); /* nothing new */
    assert_string_equal(deeds, "load by host: 3/0. ");
    for (int i = 0; i < 3; i++)
        instance_free(all[i]);
}

static void a_version_that_all_refuse_serves_nobody(void **state)
{
    (void)state;
    instance *all[4];
    for (int i = 0; i < 4; i++)
        all[i] = instance_in((const char *[]){"a", "b", "c", "d"}[i], "{}");
    put("configure");
    assert_string_equal(deeds, "refuse by host: 0/3. "); /* after three it is known */
    assert_string_equal(look().current, "1.0.0");
    assert_non_null(strstr(look().refused, "refuses every configuration"));
    assert_string_equal(look().held, "");
    put("probe"); /* a file that is no plugin any more, in the same place */
    assert_non_null(strstr(look().refused, "ends while it is read"));
    for (int i = 0; i < 4; i++)
        assert_int_equal(answered_by(all[i]), 1);
    restart(); /* what was refused is not tried again by itself */
    reload_look(r);
    assert_string_equal(look().current, "1.0.0");
    assert_string_equal(deeds, "");
    for (int i = 0; i < 4; i++)
        instance_free(all[i]);
}

/* The strict version wants a ticket; the first does not mind one only where the schema lets it. */
static void who_refuses_stays_behind_alone(void **state)
{
    (void)state;
    status st;
    reload_result result;
    put("schema"); /* nobody is there to refuse it */
    assert_string_equal(look().current, "9.0.0");
    instance *with = instance_in("with", "{\"ticket\": \"yes\"}"),
             *other = instance_in("other", "{\"ticket\": \"no\"}");
    assert_int_equal(answered_by(with), 9);
    put("open_mind");
    assert_string_equal(look().current, "4.0.0");
    assert_int_equal(answered_by(with), 4);
    instance *without = instance_in("without", "{}");
    put("schema");
    assert_string_equal(look().current, "9.0.0");
    assert_non_null(strstr(look().held, "without: it: its config does not fit version 9.0.0"));
    assert_int_equal(answered_by(with), 9);
    assert_int_equal(answered_by(other), 9);
    assert_int_equal(answered_by(without), 4);
    instance_free(with);
    instance_free(other);
    instance_free(without);
    restart();
    without = instance_in("without", "{}"); /* after a restart too */
    assert_int_equal(answered_by(without), 4);
    must(reload_roll_back(r, ID, "me", &result, &st), &st);
    assert_string_equal(look().held, "");
    assert_string_equal(look().current, "4.0.0");
    instance_free(without);
}

static void rolled_back_and_loaded_again(void **state)
{
    (void)state;
    status st;
    reload_result result;
    instance *in = instance_in("a", "{}");
    assert_int_equal(reload_roll_back(r, ID, "me", &result, &st), STATUS_CONFLICT);
    assert_int_equal(reload_roll_back(r, "org.penstock.none", "me", &result, &st), STATUS_NOT_FOUND);
    put("2");
    must(reload_roll_back(r, ID, "me", &result, &st), &st);
    assert_int_equal(answered_by(in), 1);
    assert_true(look().pinned);
    reload_look(r); /* the file that lies there is not taken by itself */
    assert_int_equal(answered_by(in), 1);
    instance_free(in);
    restart();
    reload_look(r);
    assert_string_equal(look().current, "1.0.0");
    assert_true(look().pinned);
    in = instance_in("a", "{}");
    assert_int_equal(answered_by(in), 1);
    must(reload_load(r, ID, "me", &result, &st), &st);
    assert_int_equal(answered_by(in), 2);
    assert_false(look().pinned);
    must(reload_roll_back(r, ID, "me", &result, &st), &st);
    put("3"); /* another file ends the pin */
    assert_int_equal(answered_by(in), 3);
    assert_false(look().pinned);
    instance_free(in);
}

static void unloaded_until_loaded(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance_batch *b;
    reload_result result;
    instance *in = instance_in("a", "{}");
    assert_int_equal(answered_by(in), 1);
    must(reload_unload(r, ID, "me", &result, &st), &st);
    assert_int_equal(instance_evaluate(in, &call, "{}", NULL, NULL, 0, &b, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_UNLOADED);
    put("2"); /* what arrives meanwhile waits for the load */
    assert_true(look().unloaded);
    assert_string_equal(look().current, "1.0.0");
    restart();
    assert_true(catalog_unloaded(s.catalog, ID));
    must(reload_load(r, ID, "me", &result, &st), &st);
    assert_int_equal(answered_by(in), 2);
    instance_free(in);
}

static void bytes_are_loaded_without_a_file(void **state)
{
    (void)state;
    status st;
    text bytes = {0};
    char path[4200];
    reload_result result;
    instance *in = instance_in("a", "{}");
    must(disk_read(TEST_PLUGINS "/versioned_metric_3.so", PLUGIN_FILE_MAX_BYTES, &bytes, &st), &st);
    must(reload_load_bytes(r, "upload:x.so", bytes.data, bytes.len, "me", &result, &st), &st);
    assert_int_equal(answered_by(in), 3);
    assert_true(look().gone);
    instance_free(in);
    restart(); /* the older file in the folder is no news */
    reload_look(r);
    in = instance_in("a", "{}");
    assert_int_equal(answered_by(in), 3);
    assert_int_equal(reload_load_bytes(r, "upload:y.so", "junk", 4, "me", &result, &st), STATUS_INVALID);
    assert_int_equal(reload_load_bytes(r, "upload:z.so", bytes.data, bytes.len / 2, "me", &result, &st),
                     STATUS_INVALID);
    snprintf(path, sizeof path, "%s/it.so", s.plugins);
    assert_int_equal(unlink(path), 0);
    reload_look(r);
    assert_int_equal(answered_by(in), 3);
    text_free(&bytes);
    instance_free(in);
}

static void a_damaged_copy_is_noticed(void **state)
{
    (void)state;
    status st;
    reload_result result;
    char path[4200];
    put("2");
    const plugin_entry *e = catalog_find(s.catalog, ID, &st);
    snprintf(path, sizeof path, "%s", e->path);
    plugin_entry_release(e);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 1000), 0);
    restart(); /* the file is still there: it is copied anew */
    assert_string_equal(look().current, "2.0.0");
    instance *in = instance_in("a", "{}");
    assert_int_equal(answered_by(in), 2);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 1000), 0);
    must(reload_roll_back(r, ID, "me", &result, &st), &st);
    must(reload_load(r, ID, "me", &result, &st), &st); /* while it runs, from the file */
    assert_int_equal(answered_by(in), 2);
    instance_free(in);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(truncate(path, 1000), 0);
    snprintf(path, sizeof path, "%s/it.so", s.plugins);
    assert_int_equal(unlink(path), 0);
    restart(); /* now only the version before can be had */
    assert_string_equal(look().current, "1.0.0");
    in = instance_in("a", "{}");
    assert_int_equal(answered_by(in), 1);
    instance_free(in);
}

static int no_rename(const char *from, const char *to)
{
    (void)from, (void)to;
    errno = ENOSPC;
    return -1;
}

static int any_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static int64_t plenty(const char *path, int64_t *total_out)
{
    (void)path, (void)total_out;
    return INT64_MAX;
}

static void a_disk_that_does_not_write_is_told(void **state)
{
    (void)state;
    status st;
    reload_result result;
    put("2");
    instance *in = instance_in("a", "{}");
    disk_use(&(disk_operations){any_open, read, write, fsync, no_rename, plenty});
    assert_int_not_equal(reload_roll_back(r, ID, "me", &result, &st), STATUS_OK);
    disk_use(NULL);
    assert_non_null(strstr(st.text, "it cannot be written down which versions serve"));
    assert_int_equal(answered_by(in), 1); /* it was done all the same */
    instance_free(in);
    restart();
    assert_string_equal(look().current, "2.0.0"); /* as the error said */
}

int main(void)
{
#define RELOAD_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        RELOAD_TEST(a_new_file_is_taken_by_all),     RELOAD_TEST(a_version_that_all_refuse_serves_nobody),
        RELOAD_TEST(who_refuses_stays_behind_alone), RELOAD_TEST(rolled_back_and_loaded_again),
        RELOAD_TEST(unloaded_until_loaded),          RELOAD_TEST(bytes_are_loaded_without_a_file),
        RELOAD_TEST(a_damaged_copy_is_noticed),      RELOAD_TEST(a_disk_that_does_not_write_is_told),
    };
    return cmocka_run_group_tests(tests, start_spawner, stop_spawner);
}
