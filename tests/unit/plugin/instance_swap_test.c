/* Cells are replaced behind live instances: the new version answers, whatever fails on the way leaves the
 * old. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "plugin/instance_swap.h"
#include "stand.h"

#define ID "org.penstock.test.versioned-"

static nursery *spawner;
static char *folders[32]; /* of the versions: their copies are loaded until the end */
static int n_folders;

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
    while (n_folders)
        test_folder_remove(folders[--n_folders]);
    nursery_stop(spawner);
    return 0;
}

/* The entry of one version: a catalog of its own, since a catalog serves one version of an id. */
static const plugin_entry *version_of(const char *sort, const char *version)
{
    stand s;
    status st;
    char name[64], id[64];
    snprintf(name, sizeof name, "versioned_%s_%s", sort, version);
    snprintf(id, sizeof id, ID "%s", sort);
    const char *plugins[] = {name, NULL};
    stand_up(&s, spawner, plugins);
    const plugin_entry *e = catalog_find(s.catalog, id, &st);
    if (!e)
        print_error("%s\n", st.text);
    assert_non_null(e);
    instance_set_free(s.set);
    catalog_free(s.catalog);
    settings_free(s.settings);
    folders[n_folders++] = s.folder;
    return e;
}

static instance *instance_of(stand *s, const char *sort, const char *config)
{
    char name[64], id[64];
    snprintf(name, sizeof name, "versioned_%s_1", sort);
    snprintf(id, sizeof id, ID "%s", sort);
    const char *plugins[] = {name, NULL};
    stand_up(s, spawner, plugins);
    return stand_instance(s, id, config);
}

static int64_t cell_of(const instance_batch *b, const char *column, uint32_t row)
{
    int at = instance_batch_column(b, column);
    assert_true(at >= 0);
    return ((const int64_t *)b->rows.columns[at].values)[row];
}

/* Which version answers a read, and which number it begins with. */
static instance_batch *read_some(instance *in)
{
    status st;
    instance_turn turn = INSTANCE_END;
    instance_batch *b = NULL;
    uint32_t wait;
    must(instance_read(in, NULL, 10, &turn, &b, &wait, &st), &st);
    assert_int_equal(turn, INSTANCE_ROWS);
    return b;
}

static void ack(instance *in, const instance_batch *b)
{
    status st;
    must(instance_ack(in, NULL, b->cursor, b->cursor_len, &st), &st);
}

static int64_t version_of_metric(instance *in)
{
    status st;
    instance_batch *b = NULL;
    must(instance_evaluate(in, NULL, "{}", NULL, NULL, 0, &b, &st), &st);
    int64_t version = cell_of(b, "version", 0);
    instance_batch_free(b);
    return version;
}

typedef struct swapping {
    instance *in;
    const plugin_entry *plugin;
    status_class class;
    status st;
    swap_report report;
    pthread_t thread;
    atomic_bool done;
} swapping;

static void *swap_main(void *arg)
{
    swapping *s = arg;
    s->class = instance_swap(s->in, s->plugin, "test", &s->report, &s->st);
    s->done = true;
    return NULL;
}

static void swap_beside(swapping *s, instance *in, const plugin_entry *plugin)
{
    *s = (swapping){.in = in, .plugin = plugin};
    assert_int_equal(pthread_create(&s->thread, NULL, swap_main, s), 0);
}

static void a_new_version_answers_the_next_call(void **state)
{
    (void)state;
    stand s;
    status st;
    swap_report report;
    instance *in = instance_of(&s, "metric", "{}");
    const plugin_entry *second = version_of("metric", "2");
    assert_int_equal(version_of_metric(in), 1);
    must(instance_swap(in, second, "test", &report, &st), &st);
    assert_int_equal(report.step, SWAP_DONE);
    assert_true(report.canary);
    assert_int_equal(version_of_metric(in), 2);
    instance_state seen = stand_state(&s);
    assert_string_equal(seen.version, "2.0.0");
    assert_string_equal(seen.hash, second->hash);
    assert_int_equal(seen.swaps, 1);
    assert_int_equal(seen.deaths, 0);
    pid_t before = seen.pid;
    must(instance_swap(in, NULL, "memory", &report, &st), &st); /* a recycle */
    assert_false(report.canary);
    assert_int_equal(version_of_metric(in), 2);
    assert_int_not_equal(stand_state(&s).pid, before);
    plugin_entry_release(second);
    instance_free(in);
    stand_down(&s);
}

static void refused(instance *in, const char *sort, const char *version, swap_step step, const char *says)
{
    status st;
    swap_report report;
    const plugin_entry *bad = version_of(sort, version);
    assert_int_not_equal(instance_swap(in, bad, "test", &report, &st), STATUS_OK);
    if (report.step != step || !strstr(st.text, says))
        print_error("%s: %s: %s\n", version, swap_step_name(report.step), st.text);
    assert_int_equal(report.step, step);
    assert_non_null(strstr(st.text, says));
    plugin_entry_release(bad);
}

static void what_fails_leaves_the_old_version(void **state)
{
    (void)state;
    stand s;
    instance *in = instance_of(&s, "metric", "{\"pace\": 7}");
    assert_int_equal(version_of_metric(in), 1);
    pid_t before = stand_state(&s).pid;
    refused(in, "metric", "schema", SWAP_CONFIG, "its config does not fit version 9.0.0");
    refused(in, "metric", "start", SWAP_START, "died while it was loaded");
    refused(in, "metric", "configure", SWAP_CONFIGURE, "refuses every configuration");
    refused(in, "metric", "crash", SWAP_CONFIGURE, "died");
    refused(in, "metric", "answer", SWAP_CANARY, "a question that was answered before");
    assert_int_equal(version_of_metric(in), 1);
    instance_state seen = stand_state(&s);
    assert_int_equal(seen.pid, before);
    assert_int_equal(seen.deaths, 0);
    assert_int_equal(seen.swaps, 0);
    instance_free(in);
    stand_down(&s);
}

static void an_open_source_goes_on_where_it_was_acked(void **state)
{
    (void)state;
    stand s;
    status st;
    swapping w;
    instance *in = instance_of(&s, "source", "{\"pace\": 10}");
    const plugin_entry *second = version_of("source", "2");
    must(instance_open(in, NULL, "100", 3, &st), &st);
    instance_batch *first = read_some(in);
    assert_int_equal(cell_of(first, "version", 0), 1);
    assert_int_equal(cell_of(first, "n", 0), 100);

    /* Rows that were handed over and are not acked hold the switch up. */
    swap_beside(&w, in, second);
    instance_batch *still = read_some(in);
    usleep(300000);
    assert_false(w.done);
    assert_int_equal(cell_of(still, "version", 0), 1);
    ack(in, first);
    usleep(200000);
    assert_false(w.done); /* the newest is not acked yet */
    ack(in, still);
    pthread_join(w.thread, NULL);
    must(w.class, &w.st);
    assert_true(w.report.opened);

    instance_batch *next = read_some(in);
    assert_int_equal(cell_of(next, "version", 0), 2);
    assert_int_equal(cell_of(next, "n", 0), 120);
    instance_batch_free(first);
    instance_batch_free(still);
    instance_batch_free(next);
    plugin_entry_release(second);
    instance_free(in);
    stand_down(&s);
}

static void a_source_that_cannot_open_leaves_the_old_one_open(void **state)
{
    (void)state;
    stand s;
    status st;
    instance *in = instance_of(&s, "source", "{\"pace\": 10}");
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    instance_batch *b = read_some(in);
    ack(in, b);
    instance_batch_free(b);
    refused(in, "source", "open", SWAP_OPEN, "this version cannot open");
    b = read_some(in);
    assert_int_equal(cell_of(b, "version", 0), 1);
    assert_int_equal(cell_of(b, "n", 0), 10);
    instance_batch_free(b);
    instance_free(in);
    stand_down(&s);
}

static void a_stopped_instance_is_tried_and_stays_stopped(void **state)
{
    (void)state;
    stand s;
    status st;
    instance *in = instance_of(&s, "notifier", "{}");
    refused(in, "notifier", "configure", SWAP_CONFIGURE, "refuses every configuration");
    assert_string_equal(stand_state(&s).version, "1.0.0");
    const plugin_entry *second = version_of("notifier", "2");
    must(instance_swap(in, second, "test", NULL, &st), &st);
    instance_state seen = stand_state(&s);
    assert_int_equal(seen.condition, INSTANCE_STOPPED);
    assert_int_equal(seen.pid, 0);
    instance_message m = {.delivery_id = "1", .title = "a", .text = "b"};
    instance_delivery d;
    must(instance_send(in, NULL, &m, &d, &st), &st);
    assert_string_equal(d.external_id, "v2");
    plugin_entry_release(second);
    instance_free(in);
    stand_down(&s);
}

static void ending_and_configuring_anew_give_a_swap_up(void **state)
{
    (void)state;
    stand s;
    status st;
    swapping w;
    instance *in = instance_of(&s, "source", "{\"pace\": 10}");
    const plugin_entry *second = version_of("source", "2");
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    instance_batch *b = read_some(in);
    swap_beside(&w, in, second);
    usleep(200000); /* it waits for the ack */
    json_t *config = json_pack("{s:i,s:i,s:i}", "rows", 0, "pace", 3, "sleep_ms", 0);
    const plugin_entry *first = catalog_find(s.catalog, ID "source", &st);
    instance_reconfigure(in, first, config);
    json_decref(config);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.class, STATUS_CONFLICT);
    instance_batch_free(b);

    must(instance_open(in, NULL, NULL, 0, &st), &st);
    b = read_some(in);
    assert_int_equal(b->rows.n_rows, 3);
    instance_batch_free(b);
    swap_beside(&w, in, second);
    usleep(200000);
    instance_free(in);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.class, STATUS_CANCELLED);
    plugin_entry_release(first);
    plugin_entry_release(second);
    stand_down(&s);
}

static void *swap_held(void *arg)
{
    swapping *s = arg;
    s->class = instance_swap(s->in, s->plugin, "test", &s->report, &s->st);
    instance_unhold(s->in);
    return NULL;
}

static void an_instance_may_end_at_any_step_of_a_swap(void **state)
{
    (void)state;
    stand s;
    unsigned done = 0;
    instance *in = instance_of(&s, "metric", "{}");
    const plugin_entry *second = version_of("metric", "2");
    for (useconds_t i = 0; i < 10; i++) {
        swapping w = {.plugin = second};
        assert_int_equal(version_of_metric(in), 1);
        w.in = instance_set_next(s.set, ID "metric", instance_set_round(s.set));
        assert_ptr_equal(w.in, in);
        assert_null(instance_set_next(s.set, ID "metric", 1));
        assert_int_equal(pthread_create(&w.thread, NULL, swap_held, &w), 0);
        usleep(i * 2000);
        instance_free(in); /* waits for the swap, whatever it comes to */
        pthread_join(w.thread, NULL);
        done += w.class == STATUS_OK;
        assert_true(w.class == STATUS_OK || w.class == STATUS_CANCELLED);
        in = stand_instance(&s, ID "metric", "{}");
    }
    print_message("10 instances ended during a swap, %u of them after the switch\n", done);
    instance_free(in);
    plugin_entry_release(second);
    stand_down(&s);
}

static atomic_bool enough;

static void *ask_all_the_time(void *arg)
{
    int64_t *calls = memory_zero(1, sizeof *calls);
    for (; !enough; ++*calls)
        assert_true(version_of_metric(arg) >= 1);
    return calls;
}

static void a_busy_instance_is_replaced_again_and_again(void **state)
{
    (void)state;
    stand s;
    status st;
    pthread_t callers[2];
    instance *in = instance_of(&s, "metric", "{}");
    const plugin_entry *versions[] = {version_of("metric", "2"), version_of("metric", "3")};
    enough = false;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, ask_all_the_time, in), 0);
    int64_t longest = 0, sum = 0;
    for (int i = 0; i < 20; i++) {
        swap_report report;
        must(instance_swap(in, i % 3 == 2 ? NULL : versions[i % 2], "test", &report, &st), &st);
        sum += report.pause_us;
        longest = report.pause_us > longest ? report.pause_us : longest;
    }
    refused(in, "metric", "answer", SWAP_CANARY, "a question that was answered before");
    enough = true;
    int64_t calls = 0;
    for (int i = 0; i < 2; i++) {
        void *mine;
        pthread_join(callers[i], &mine);
        calls += *(int64_t *)mine;
        free(mine);
    }
    print_message("20 swaps, %lld calls, pause mean %lld us, longest %lld us\n", (long long)calls,
                  (long long)(sum / 20), (long long)longest);
    instance_state seen = stand_state(&s);
    assert_int_equal(seen.failures, 0);
    assert_int_equal(seen.deaths, 0);
    assert_int_equal(seen.swaps, 20);
    plugin_entry_release(versions[0]);
    plugin_entry_release(versions[1]);
    instance_free(in);
    stand_down(&s);
}

static void an_unloaded_plugin_answers_nothing(void **state)
{
    (void)state;
    stand s;
    status st;
    instance_call call = {0};
    instance_batch *b;
    instance *in = instance_of(&s, "metric", "{}");
    assert_int_equal(version_of_metric(in), 1);
    instance_unload(in, true);
    assert_int_equal(instance_evaluate(in, &call, "{}", NULL, NULL, 0, &b, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_UNLOADED);
    assert_string_equal(st.text, "it: the plugin org.penstock.test.versioned-metric is unloaded");
    instance_state seen = stand_state(&s);
    assert_int_equal(seen.condition, INSTANCE_UNLOADED);
    assert_int_equal(seen.pid, 0);
    instance_unload(in, false);
    assert_int_equal(version_of_metric(in), 1);
    instance_free(in);
    stand_down(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_version_answers_the_next_call),
        cmocka_unit_test(what_fails_leaves_the_old_version),
        cmocka_unit_test(an_open_source_goes_on_where_it_was_acked),
        cmocka_unit_test(a_source_that_cannot_open_leaves_the_old_one_open),
        cmocka_unit_test(a_stopped_instance_is_tried_and_stays_stopped),
        cmocka_unit_test(ending_and_configuring_anew_give_a_swap_up),
        cmocka_unit_test(an_instance_may_end_at_any_step_of_a_swap),
        cmocka_unit_test(a_busy_instance_is_replaced_again_and_again),
        cmocka_unit_test(an_unloaded_plugin_answers_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
