/* A source with a real plugin in a real cell, a journal and no database: what the plugin is told, and when.
 */
#include "unit/plugin/stand.h"

#include "base/clock.h"
#include "config/yaml_tree.h"
#include "flow/source_private.h"
#include "journal_stage.h"

#ifdef PENSTOCK_FAULTS
#define ECHO_SOURCE "org.penstock.test.echo-source"

static const char template_text[] =
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: echoes, version: 1.0.0}\n"
    "datastores:\n  echoed:\n    schema: {type: object, required: [time, n], properties: {time: {type: "
    "string, "
    "format: date-time}, n: {type: integer}}}\n    time: time\n    accept: {past: any, future: any}\n"
    "connectors:\n  echo: {plugin: " ECHO_SOURCE
    ", config: {rows: 3, one_stream: true}, into: \"datastore:echoed\"}\n";

enum { ROWS = 3, METRIC_ACKED = 1, PATIENCE_MS = 40000, GIVES_UP_US = 5000000 };
static const int64_t far_us = 3600 * INT64_C(1000000);

static nursery *spawner;
static stand plugins;

typedef struct bench {
    fixture *disk; /* and the journal */
    const definition *definition;
    const flow_plan *plan;
    waiter_table *waiters;
    intake *intake;
    lane_pool *pool;
    lane_group *lanes;
    source *source;
} bench;

static int begin(void **state)
{
    (void)state;
    status st;
    const char *const names[] = {"echo_source", NULL};
    spawner = nursery_start(&st);
    stand_up(&plugins, spawner, names);
    return 0;
}

static int end(void **state)
{
    (void)state;
    stand_down(&plugins);
    nursery_stop(spawner);
    return 0;
}

static void make_plan(bench *b)
{
    status st;
    yaml_tree *tree = NULL;
    must(yaml_tree_parse("echoes.yaml", template_text, strlen(template_text), &tree, &st), &st);
    definition_source source = {.template_body = yaml_tree_root(tree),
                                .wid = 1,
                                .workspace = "acme",
                                .workspace_id = "ws_1",
                                .generation = 1};
    must(definition_make(&source, &b->definition, &st), &st);
    yaml_tree_free(tree);
    must(flow_plan_create(b->definition, 0, &b->plan, &st), &st);
}

static const flow_plan *plan_of(void *arg, status *st)
{
    bench *b = arg;
    (void)st;
    return flow_plan_retain(b->plan);
}

static void make_source(bench *b, const char *config)
{
    source_parts parts = {.intake = b->intake,
                          .journal = b->disk->j,
                          .lanes = b->lanes,
                          .plan_of = plan_of,
                          .arg = b,
                          .wid = 1,
                          .plugin = stand_instance(&plugins, ECHO_SOURCE, config)};
    b->source = source_create(&parts, &b->definition->connectors[0]);
}

static int make(void **state)
{
    bench *b = calloc(1, sizeof *b);
    *state = b;
    set_up((void **)&b->disk);
    make_plan(b);
    b->waiters = waiter_table_create();
    b->intake = intake_create(b->disk->j, b->waiters, 1);
    b->pool = lane_pool_create(2);
    b->lanes = lane_group_open(b->pool, 0);
    make_source(b, "{\"rows\": 3, \"one_stream\": true}");
    return 0;
}

static int unmake(void **state)
{
    bench *b = *state;
    source_free(b->source);
    lane_group_close(b->lanes);
    lane_pool_free(b->pool);
    void *disk = b->disk;
    tear_down(&disk); /* the journal answers intake until it is closed */
    intake_free(b->intake);
    waiter_table_free(b->waiters);
    flow_plan_release(b->plan);
    definition_release(b->definition);
    free(b);
    return 0;
}

/* Number of the row that the plugin was told last to be durable. */
static double acked(void)
{
    instance_state seen = stand_state(&plugins);
    return seen.n_metrics > METRIC_ACKED ? seen.metrics[METRIC_ACKED].value : 0;
}

static void until(bench *b, source_state want, bool tick)
{
    for (int i = 0; source_look_at(b->source).state != want; i++) {
        if (i == PATIENCE_MS)
            fail_msg("%s, not %s", source_state_name(source_look_at(b->source).state),
                     source_state_name(want));
        if (tick)
            source_tick(b->source, clock_monotonic_us() + far_us);
        usleep(1000);
    }
}

/* A plugin may forget what it was told to be durable: it is not told so by a commit that failed. */
static void a_source_is_told_after_the_commit(void **state)
{
    bench *b = *state;
    journal_fault_set(b->disk->j, JOURNAL_FAULT_SYNC, 1);
    source_tick(b->source, clock_monotonic_us());
    until(b, SOURCE_DEGRADED, false);
    assert_true(acked() == 0);
    until(b, SOURCE_ENDED, true);
    assert_true(acked() == ROWS);
    assert_int_equal(journal_backlog_get(b->disk->j, 0, NULL).rows, ROWS);
}

/* What stands still holds no plan: its workspace could not rest. */
static void a_source_that_ended_gives_the_plan_back(void **state)
{
    bench *b = *state;
    assert_true(flow_plan_is_alone(b->plan));
    source_tick(b->source, clock_monotonic_us());
    until(b, SOURCE_ENDED, true);
    for (int i = 0; !flow_plan_is_alone(b->plan) && i < PATIENCE_MS; i++)
        usleep(1000);
    assert_true(flow_plan_is_alone(b->plan));
}

/* Between the look of a turn and its rest, too: a source that rests on a pause that is over rests for ever.
 */
static void a_source_hears_of_the_end_of_a_pause(void **state)
{
    bench *b = *state;
    source_tick(b->source, clock_monotonic_us());
    until(b, SOURCE_ENDED, true);
    for (int i = 0; i < 400; i++) {
        source_pause(b->source, true);
        source_tick(b->source, clock_monotonic_us());
        for (int64_t from_us = clock_monotonic_us(); clock_monotonic_us() < from_us + i % 100;)
            ;
        source_pause(b->source, false);
        until(b, SOURCE_ENDED, true);
    }
}

/* The plugin's read waits until it is told to give up, and what it is told between two calls it does not
 * hear: whoever ends or pauses the source says so until it does. At each moment from the start of the process
 * on. */
static void a_source_gives_up_wherever_it_is(void **state)
{
    bench *b = *state;
    source_free(b->source);
    for (int i = 0; i < 24; i++) {
        make_source(b, "{\"rows\": 3, \"one_stream\": true, \"trouble\": {\"what\": \"polite\"}}");
        source_tick(b->source, clock_monotonic_us());
        usleep((unsigned)(i * 2500));
        int64_t from_us = clock_monotonic_us();
        if (i % 2) {
            source_pause(b->source, true);
            until(b, SOURCE_PAUSED, true);
            source_pause(b->source, false);
            source_tick(b->source, clock_monotonic_us());
        }
        source_free(b->source);
        b->source = NULL;
        int64_t took_us = clock_monotonic_us() - from_us;
        if (took_us > GIVES_UP_US)
            fail_msg("%s %d: %.1f s", i % 2 ? "pausing" : "ending", i, (double)took_us / 1e6);
    }
}

static void put_cursor(bench *b, const void *data, size_t len)
{
    status st;
    journal_cursor cursor = {.wid = 1, .instance = SOURCE_PREFIX "echo", .data = data, .len = len};
    must(journal_submit_wait(b->disk->j, &(journal_submission){.cursor = &cursor}, &st), &st);
}

/* To begin again would bring every row twice: it says why it stands still, and goes on when the cursor is
 * one. */
static void a_source_waits_for_a_cursor_that_cannot_be_read(void **state)
{
    bench *b = *state;
    static const uint8_t second[SOURCE_CURSOR_HEAD + 1] = {[7] = 0x80, [8] = '2'}; /* no shift, row 2 */
    put_cursor(b, "one", 3);
    for (int i = 0; i < 3; i++) {
        source_tick(b->source, clock_monotonic_us() + far_us);
        for (int ms = 0; source_look_at(b->source).state == SOURCE_STARTING && ms < PATIENCE_MS; ms++)
            usleep(1000);
        source_look look = source_look_at(b->source);
        assert_int_equal(look.state, SOURCE_DOWN);
        assert_non_null(strstr(look.problem, "the cursor of " SOURCE_PREFIX "echo has 3 bytes"));
    }
    assert_int_equal(journal_backlog_get(b->disk->j, 0, NULL).rows, 0);
    put_cursor(b, second, sizeof second);
    until(b, SOURCE_ENDED, true);
    assert_int_equal(journal_backlog_get(b->disk->j, 0, NULL).rows, ROWS - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_source_gives_up_wherever_it_is, make, unmake),
        cmocka_unit_test_setup_teardown(a_source_waits_for_a_cursor_that_cannot_be_read, make, unmake),
        cmocka_unit_test_setup_teardown(a_source_hears_of_the_end_of_a_pause, make, unmake),
        cmocka_unit_test_setup_teardown(a_source_is_told_after_the_commit, make, unmake),
        cmocka_unit_test_setup_teardown(a_source_that_ended_gives_the_plan_back, make, unmake)};
    return cmocka_run_group_tests(tests, begin, end);
}
#else
int main(void)
{
    return 77;
}
#endif
