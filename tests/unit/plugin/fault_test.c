/* Plugins that do what no plugin should: the host survives each of them and says clearly what happened. */
#include <pthread.h>
#include <sched.h>

#include "stand.h"

#include "base/clock.h"
#include "support/nursery_fake.h"

static nursery *spawner;
static stand s;

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    const char *plugins[] = {"fault", NULL};
    stand_up(&s, spawner, plugins);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stand_down(&s);
    nursery_stop(spawner);
    return 0;
}

static instance *faulty(const char *how)
{
    char config[100];
    snprintf(config, sizeof config, "{\"how\": \"%s\"}", how);
    return stand_instance(&s, "org.penstock.test.fault", config);
}

static status_class open_and_read(instance *in, instance_call *call, status *st)
{
    instance_turn turn;
    uint32_t wait;
    instance_batch *b = NULL;
    int64_t deadline = call->deadline_us;
    call->deadline_us = 0;
    status_class class = instance_open(in, call, NULL, 0, st);
    call->deadline_us = deadline;
    if (class == STATUS_OK)
        class = instance_read(in, call, 5, &turn, &b, &wait, st);
    instance_batch_free(b);
    return class;
}

static void expect(const char *how, status_class class, plugin_fault fault, const char *says)
{
    status st = {0};
    instance_call call = {.deadline_us = 1000000};
    instance *in = faulty(how);
    status_class got = open_and_read(in, &call, &st);
    if (got != class || call.fault != fault || !strstr(st.text, says))
        print_error("%s: %s, %s: %s\n", how, status_class_name(got), plugin_fault_name(call.fault), st.text);
    assert_int_equal(got, class);
    assert_int_equal(call.fault, fault);
    assert_non_null(strstr(st.text, says));
    assert_int_equal(stand_state(&s).deaths, 1);
    assert_string_not_equal(stand_state(&s).last_death, "");
    instance_free(in);
}

static void a_cell_that_dies_is_a_status(void **state)
{
    (void)state;
    expect("segv", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "the plugin died");
    expect("abort", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "the plugin died");
    expect("exit", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "the plugin died: exit code 0");
    expect("close_socket", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "closed its socket");
    expect("garbage_message", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "cannot be read");
    expect("garbage_long", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "cannot be read");
    expect("create", STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED, "the plugin died");
}

static void a_deadline_is_kept(void **state)
{
    (void)state;
    int64_t began = clock_monotonic_us();
    expect("hang", STATUS_TIMEOUT, PLUGIN_FAULT_TIMEOUT, "did not answer within 1.0 s");
    expect("spin", STATUS_TIMEOUT, PLUGIN_FAULT_TIMEOUT, "did not answer within 1.0 s");
    assert_in_range(clock_monotonic_us() - began, 2000000, 9500000);
}

/* Holds the one processor that a cell may use, for a time; then the cell may use all. */
typedef struct hog {
    pid_t cell;
    int64_t for_us;
} hog;

static void use_processors(pid_t process, bool all)
{
    cpu_set_t which;
    CPU_ZERO(&which);
    for (int i = 0; i < (all ? CPU_SETSIZE : 1); i++)
        CPU_SET(i, &which);
    assert_int_equal(sched_setaffinity(process, sizeof which, &which), 0);
}

static void *on_hog(void *arg)
{
    const hog *h = arg;
    use_processors(0, false);
    for (int64_t until = clock_monotonic_us() + h->for_us; clock_monotonic_us() < until;)
        continue;
    use_processors(h->cell, true);
    return NULL;
}

/* The cell gets next to nothing of its processor for longer than its deadline, and then does its work. */
static void a_plugin_without_a_processor_is_not_taken_for_a_hang(void **state)
{
    (void)state;
    status st;
    pthread_t thread;
    const struct sched_param none = {0};
    instance_call call = {.deadline_us = 1000000};
    instance *in = faulty("compute");
    must(open_and_read(in, &call, &st), &st);
    hog h = {.cell = stand_state(&s).pid, .for_us = 1300000};
    use_processors(h.cell, false);
    assert_int_equal(sched_setscheduler(h.cell, SCHED_IDLE, &none), 0);
    assert_int_equal(pthread_create(&thread, NULL, on_hog, &h), 0);
    int64_t began = clock_monotonic_us();
    status_class class = open_and_read(in, &call, &st);
    int64_t took = clock_monotonic_us() - began;
    pthread_join(thread, NULL);
    must(class, &st);
    assert_true(took > call.deadline_us); /* or the test shows nothing */
    assert_int_equal(stand_state(&s).deaths, 0);
    instance_free(in);
}

static void a_bad_batch_is_a_bug_of_the_plugin(void **state)
{
    (void)state;
    expect("offsets_negative", STATUS_INVALID, PLUGIN_FAULT_BUG,
           "column name, row 0: its offset is negative");
    expect("offsets_backwards", STATUS_INVALID, PLUGIN_FAULT_BUG, "column name, row 1: offsets go backwards");
    expect("offsets_split", STATUS_INVALID, PLUGIN_FAULT_BUG,
           "column name, row 1: the value begins inside a character");
    expect("not_utf8", STATUS_INVALID, PLUGIN_FAULT_BUG, "not UTF-8");
    expect("nul", STATUS_INVALID, PLUGIN_FAULT_BUG, "U+0000");
    expect("same_name", STATUS_INVALID, PLUGIN_FAULT_BUG, "two columns are named name");
    expect("format", STATUS_INTERNAL, PLUGIN_FAULT_BUG, "outside the profile");
    expect("bytes", STATUS_INVALID, PLUGIN_FAULT_BUG, "only for raw batches");
    expect("time", STATUS_INVALID, PLUGIN_FAULT_BUG, "column n, row 1: the time lies outside");
    expect("length", STATUS_INTERNAL, PLUGIN_FAULT_BUG, "wrong length");
    expect("rows", STATUS_LIMIT, PLUGIN_FAULT_BUG, "at most 5");
    expect("cursor", STATUS_LIMIT, PLUGIN_FAULT_BUG, "cursor has 65537 bytes");
    expect("bug", STATUS_INTERNAL, PLUGIN_FAULT_BUG, "an invariant does not hold");
}

static void harmless_misuse_is_harmless(void **state)
{
    (void)state;
    static const char *const ways[] = {"nothing", "chatter", "observe_wrong"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        status st;
        instance_call call = {0};
        instance *in = faulty(ways[i]);
        must(open_and_read(in, &call, &st), &st);
        instance_free(in);
    }
}

static void an_unknown_status_is_a_bug_and_the_sandbox_holds(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance *in = faulty("unknown_status");
    assert_int_equal(open_and_read(in, &call, &st), STATUS_INTERNAL);
    assert_int_equal(call.fault, PLUGIN_FAULT_BUG);
    instance_free(in);
#ifndef PENSTOCK_SANITIZED /* sanitizers need ptrace */
    in = faulty("mount");
    must(open_and_read(in, &call, &st), &st);
    instance_free(in);
#endif
}

static void a_polite_plugin_gives_up_before_it_is_killed(void **state)
{
    (void)state;
    status st;
    instance_call call = {.deadline_us = 1000000};
    instance *in = faulty("polite");
    assert_int_equal(open_and_read(in, &call, &st), STATUS_CANCELLED);
    assert_int_equal(call.fault, PLUGIN_FAULT_CANCELLED);
    assert_int_equal(stand_state(&s).deaths, 0);
    call.deadline_us = 500000; /* the cancel of the last call is gone: this one runs to its own 80 % */
    int64_t began = clock_monotonic_us();
    assert_int_equal(open_and_read(in, &call, &st), STATUS_CANCELLED);
    assert_true(clock_monotonic_us() - began >= 390000);
    instance_free(in);
}

/* Time stands still, so the back-off is exact. */
static void deaths_back_off_and_end_in_quarantine(void **state)
{
    (void)state;
    clock_fake fake;
    clock_fake_use(&fake, 1000000000);
    status st;
    instance_call call = {0};
    instance *in = faulty("create");
    for (int death = 1; death <= 5; death++) {
        assert_int_equal(open_and_read(in, &call, &st), STATUS_UNAVAILABLE);
        assert_int_equal(call.fault, PLUGIN_FAULT_DIED);
        assert_int_equal(stand_state(&s).deaths, death);
        if (death == 2) { /* the first restart was free; now it is held back */
            assert_in_range(call.retry_after_ms, 30, 51);
            assert_int_equal(open_and_read(in, &call, &st), STATUS_UNAVAILABLE);
            assert_non_null(strstr(st.text, "is restarted"));
            assert_int_equal(stand_state(&s).deaths, 2);
        }
        if (death < 5)
            clock_fake_advance(&fake, 1000000);
    }
    assert_int_equal(stand_state(&s).condition, INSTANCE_QUARANTINED);
    clock_fake_advance(&fake, 599000000);
    assert_int_equal(open_and_read(in, &call, &st), STATUS_UNAVAILABLE);
    assert_non_null(strstr(st.text, "in quarantine"));
    assert_int_equal(stand_state(&s).deaths, 5);
    clock_fake_advance(&fake, 2000000);
    assert_int_equal(open_and_read(in, &call, &st), STATUS_UNAVAILABLE);
    assert_int_equal(stand_state(&s).deaths, 6);
    instance_free(in);
    clock_use(NULL);
}

/* Spawning fails, or what is spawned is gone at once: a status and a back-off, nothing left behind. */
static void a_cell_that_cannot_start_is_a_status(void **state)
{
    (void)state;
    nursery_fake fake;
    nursery_fake_init(&fake);
    instance_set_settings settings = {.spawner = &fake.base, .cell_program = "/fake/cell", .cell_user = NULL};
    instance_set *real = s.set;
    s.set = instance_set_create(&settings);
    status st;
    instance_call call = {0};
    instance *in = faulty("nothing");
    fake.spawn_answer = STATUS_NOT_FOUND;
    assert_int_equal(instance_start(in, &call, &st), STATUS_NOT_FOUND);
    assert_int_equal(call.fault, PLUGIN_FAULT_DIED);
    assert_non_null(strstr(st.text, "cannot start /fake/cell"));
    assert_string_equal(fake.last_program, "/fake/cell");
    assert_int_equal(strncmp(fake.last_arguments, "penstock-cell --profile net /", 29), 0);
    assert_false(fake.last_outlive);
    fake.spawn_answer = STATUS_OK;
    fake.exit = (nursery_exit){.exited = true, .code = 9};
    assert_int_equal(instance_start(in, &call, &st), STATUS_UNAVAILABLE);
    assert_non_null(strstr(st.text, "died while it was loaded: exit code 9"));
    assert_int_equal(fake.spawned, 1);
    assert_int_equal(fake.released, 1);
    instance_free(in);
    instance_set_free(s.set);
    s.set = real;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_that_dies_is_a_status),
        cmocka_unit_test(a_deadline_is_kept),
        cmocka_unit_test(a_plugin_without_a_processor_is_not_taken_for_a_hang),
        cmocka_unit_test(a_bad_batch_is_a_bug_of_the_plugin),
        cmocka_unit_test(harmless_misuse_is_harmless),
        cmocka_unit_test(an_unknown_status_is_a_bug_and_the_sandbox_holds),
        cmocka_unit_test(a_polite_plugin_gives_up_before_it_is_killed),
        cmocka_unit_test(a_cell_that_cannot_start_is_a_status),
        cmocka_unit_test(deaths_back_off_and_end_in_quarantine),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
