/* What becomes of an instance when its cell dies, grows, idles or finds no room. Real cells, where time
 * matters a clock that stands still. */
#include "stand.h"

#include "base/clock.h"

static nursery *spawner;
static stand s;

static char told[1000];
static void on_event(void *self, const char *name, const char *verb, const char *what)
{
    (void)self;
    size_t len = strlen(told);
    snprintf(told + len, sizeof told - len, "%s %s: %s\n", name, verb, what);
}

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    const char *plugins[] = {"echo_source", "echo_model", "echo_metric", "hostile_late", NULL};
    stand_up(&s, spawner, plugins);
    s.on_event = on_event;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stand_down(&s);
    nursery_stop(spawner);
    return 0;
}

static instance *source_in_trouble(const char *trouble)
{
    char config[300];
    snprintf(config, sizeof config, "{\"rows\": 100000, \"one_stream\": true, \"trouble\": %s}", trouble);
    return stand_instance(&s, "org.penstock.test.echo-source", config);
}

static status_class read_from(instance *in, instance_call *call, const char *cursor, uint32_t rows)
{
    instance_turn turn;
    uint32_t wait;
    status st;
    instance_batch *b = NULL;
    status_class class = instance_open(in, call, cursor, cursor ? strlen(cursor) : 0, &st);
    if (class == STATUS_OK)
        class = instance_read(in, call, rows, &turn, &b, &wait, &st);
    instance_batch_free(b);
    return class;
}

static void dies_by(const char *trouble, plugin_death death, bool suspicious)
{
    instance_call call = {.deadline_us = 2000000};
    instance *in = source_in_trouble(trouble);
    assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK);
    if (call.death != death)
        print_error("%s: %s: %s\n", trouble, plugin_death_name(call.death), call.cause);
    assert_int_equal(call.death, death);
    assert_int_equal(instance_call_suspicious(&call), suspicious);
    assert_string_not_equal(call.cause, "");
    instance_free(in);
}

static void the_way_of_a_death_is_told(void **state)
{
    (void)state;
#ifndef PENSTOCK_SANITIZED /* there a handler turns signals into exits */
    dies_by("{\"what\": \"segv\"}", PLUGIN_DEATH_SIGNAL, true);
#endif
    dies_by("{\"what\": \"exit\"}", PLUGIN_DEATH_EXIT, true);
    dies_by("{\"what\": \"hang\"}", PLUGIN_DEATH_HANG, true);
    dies_by("{\"what\": \"garbage\"}", PLUGIN_DEATH_BROKEN, true);
    dies_by("{\"what\": \"offsets\"}", PLUGIN_DEATH_BROKEN, true);
    dies_by("{\"what\": \"bug\"}", PLUGIN_DEATH_BROKEN, true);
    dies_by("{\"what\": \"leak\"}", PLUGIN_DEATH_MEMORY, false);
}

static void a_cell_without_descriptors_is_replaced(void **state)
{
    (void)state;
    instance_call call = {0};
    instance *in = source_in_trouble("{\"what\": \"descriptors\"}");
    assert_int_equal(read_from(in, &call, NULL, 1), STATUS_OK); /* that little fits as it is */
    assert_int_not_equal(read_from(in, &call, NULL, 90000), STATUS_OK);
    assert_int_equal(call.death, PLUGIN_DEATH_WORN);
    assert_int_equal(call.fault, PLUGIN_FAULT_RESOURCE);
    assert_true(instance_call_suspicious(&call));
    assert_int_equal(stand_state(&s).deaths, 0);
    assert_int_equal(stand_state(&s).recycles, 1);
    assert_int_equal(stand_state(&s).pid, 0);
    instance_free(in);
}

static void a_suspect_is_tried_at_once_and_counts_for_nothing(void **state)
{
    (void)state;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    instance *in = source_in_trouble("{\"what\": \"exit\", \"value\": 7}");
    instance_call call = {0}, suspect = {.suspect = true};
    assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK);
    assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK); /* the first restart is free */
    assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK); /* held back */
    assert_int_equal(call.death, PLUGIN_DEATH_NONE);
    assert_int_equal(call.fault, PLUGIN_FAULT_DIED);
    for (int i = 0; i < 20; i++) {
        assert_int_not_equal(read_from(in, &suspect, NULL, 10), STATUS_OK);
        assert_int_equal(suspect.death, PLUGIN_DEATH_EXIT);
    }
    assert_int_equal(read_from(in, &suspect, NULL, 7), STATUS_OK);
    instance_state now = stand_state(&s);
    assert_int_equal(now.suspects, 21);
    assert_int_equal(now.deaths, 22);
    assert_int_not_equal(now.condition, INSTANCE_QUARANTINED);
    instance_free(in);
    clock_use(NULL);
}

static void what_cannot_be_read_is_passed_over(void **state)
{
    (void)state;
    status st;
    instance_batch *b;
    instance_call suspect = {.suspect = true};
    instance *in = source_in_trouble("{\"what\": \"exit\", \"value\": 7}");
    must(instance_open(in, &suspect, "7", 1, &st), &st);
    must(instance_skip(in, &suspect, 1, &b, &st), &st);
    assert_int_equal(b->rows.n_rows, 0);
    assert_int_equal(b->n_rejects, 1);
    assert_memory_equal(b->rejects[0].payload, "{\"n\":7}", 7);
    assert_memory_equal(b->cursor, "8", 1);
    must(instance_ack(in, &suspect, b->cursor, b->cursor_len, &st), &st);
    instance_batch_free(b);
    instance_free(in);
}

static void a_plugin_that_dies_of_everything_is_not_excused(void **state)
{
    (void)state;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    instance *in = source_in_trouble("{\"what\": \"exit\"}");
    for (int i = 0; i < 5; i++) {
        instance_call call = {0};
        assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK);
        instance_absolve(in, 1, false);
        clock_fake_advance(&fake, 31000000);
    }
    assert_int_equal(stand_state(&s).condition, INSTANCE_QUARANTINED);
    /* What was in hand is still tried alone, but its cell is no way around quarantine. */
    status st;
    instance_batch *b = NULL;
    instance_call suspect = {.suspect = true}, call = {0};
    must(instance_open(in, &suspect, NULL, 0, &st), &st);
    must(instance_skip(in, &suspect, 1, &b, &st), &st);
    instance_batch_free(b);
    instance_turn turn;
    uint32_t wait;
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_DIED);
    assert_non_null(strstr(st.text, "in quarantine"));
    assert_int_equal(stand_state(&s).deaths, 5);
    assert_int_equal(stand_state(&s).condition, INSTANCE_QUARANTINED);
    instance_free(in);
    clock_use(NULL);
}

static void an_explained_death_is_taken_back(void **state)
{
    (void)state;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    instance *in = source_in_trouble("{\"what\": \"exit\", \"value\": 7}");
    for (int i = 0; i < 20; i++) {
        instance_call call = {0};
        assert_int_not_equal(read_from(in, &call, NULL, 10), STATUS_OK);
        assert_int_equal(call.death, PLUGIN_DEATH_EXIT); /* never held back */
        instance_absolve(in, 1, true);
    }
    assert_int_equal(stand_state(&s).poisons, 20);
    assert_int_not_equal(stand_state(&s).condition, INSTANCE_QUARANTINED);
    instance_free(in);
    clock_use(NULL);
}

/* Quarantine of a plugin whose constructor crashes in a cell only; told once, ended by a person. */
static void a_hostile_constructor_ends_in_quarantine(void **state)
{
    (void)state;
    status st;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    told[0] = 0;
    instance *in = stand_instance(&s, "org.penstock.test.hostile", "{\"how\": \"\"}");
    instance_call call = {0};
    for (int i = 0; i < 5; i++) {
        assert_int_not_equal(instance_start(in, &call, &st), STATUS_OK);
        assert_int_equal(call.death, PLUGIN_DEATH_START);
        assert_false(instance_call_suspicious(&call));
        clock_fake_advance(&fake, 31000000);
    }
    assert_int_equal(stand_state(&s).condition, INSTANCE_QUARANTINED);
    assert_non_null(strstr(told, "it quarantine: org.penstock.test.hostile"));
    assert_int_not_equal(instance_start(in, &call, &st), STATUS_OK);
    assert_non_null(strstr(st.text, "in quarantine"));
    assert_int_equal(stand_state(&s).deaths, 5);
    instance_retry(in);
    assert_non_null(strstr(told, "it release: "));
    assert_int_not_equal(instance_start(in, &call, &st), STATUS_OK);
    assert_int_equal(stand_state(&s).deaths, 6);
    instance_free(in);
    clock_use(NULL);
}

/* A set of its own: `memory` and `cells` as given. */
static instance_set *swap_set(int64_t memory, unsigned cells)
{
    instance_set_settings common = {
        .spawner = spawner, .cell_program = CELL_PROGRAM, .memory_bytes = memory, .cells_max = cells};
    instance_set *before = s.set;
    s.set = instance_set_create(&common);
    return before;
}

static void swap_back(instance_set *before)
{
    instance_set_free(s.set);
    s.set = before;
}

/* Nothing is lost: the source is closed where it was acked, and the next cell goes on there. */
static void a_cell_that_grows_is_replaced_between_calls(void **state)
{
    (void)state;
    status st;
    instance_set *before = swap_set(200L << 20, 0);
    instance *in = source_in_trouble("{\"what\": \"grow\"}");
    instance_call call = {0};
    instance_turn turn;
    uint32_t wait;
    char cursor[32] = "";
    unsigned rows = 0;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    while (rows < 200) {
        instance_batch *b = NULL;
        clock_fake_advance(&fake, 1000000);
        status_class class = instance_read(in, &call, 10, &turn, &b, &wait, &st);
        if (class != STATUS_OK) {
            assert_int_equal(call.fault, PLUGIN_FAULT_CLOSED);
            must(instance_open(in, &call, cursor, strlen(cursor), &st), &st);
            continue;
        }
        rows += b->rows.n_rows;
        memcpy(cursor, b->cursor, b->cursor_len);
        cursor[b->cursor_len] = '\0';
        must(instance_ack(in, &call, b->cursor, b->cursor_len, &st), &st);
        instance_batch_free(b);
    }
    assert_string_equal(cursor, "200");
    assert_int_equal(stand_state(&s).deaths, 0);
    assert_in_range(stand_state(&s).recycles, 1, 19);
    instance_free(in);
    clock_use(NULL);
    swap_back(before);
}

static void the_longest_idle_makes_room(void **state)
{
    (void)state;
    status st;
    instance_set *before = swap_set(0, 2);
    instance *in[3];
    instance_call call = {0};
    for (int i = 0; i < 3; i++)
        in[i] = stand_instance(&s, "org.penstock.test.echo-model", "{}");
    uint32_t rows;
    must(instance_context(in[0], &call, &rows, &st), &st);
    must(instance_context(in[1], &call, &rows, &st), &st);
    must(instance_context(in[0], &call, &rows, &st), &st);
    must(instance_context(in[2], &call, &rows, &st), &st); /* in place of in[1] */
    must(instance_context(in[1], &call, &rows, &st), &st); /* in place of in[0] */
    instance *open[2];
    for (int i = 0; i < 2; i++) {
        open[i] = source_in_trouble("{}");
        must(instance_open(open[i], &call, NULL, 0, &st), &st);
    }
    assert_int_equal(instance_context(in[0], &call, &rows, &st), STATUS_LIMIT);
    assert_non_null(strstr(st.text, "all 2 cells"));
    assert_int_equal(call.fault, PLUGIN_FAULT_RESOURCE);
    instance_close(open[0]);
    must(instance_context(in[0], &call, &rows, &st), &st);
    for (int i = 0; i < 3; i++)
        instance_free(in[i]);
    instance_free(open[0]);
    instance_free(open[1]);
    swap_back(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_of_a_death_is_told),
        cmocka_unit_test(a_cell_without_descriptors_is_replaced),
        cmocka_unit_test(a_suspect_is_tried_at_once_and_counts_for_nothing),
        cmocka_unit_test(what_cannot_be_read_is_passed_over),
        cmocka_unit_test(an_explained_death_is_taken_back),
        cmocka_unit_test(a_plugin_that_dies_of_everything_is_not_excused),
        cmocka_unit_test(a_hostile_constructor_ends_in_quarantine),
        cmocka_unit_test(a_cell_that_grows_is_replaced_between_calls),
        cmocka_unit_test(the_longest_idle_makes_room),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
