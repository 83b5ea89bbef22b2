/* Well-behaved plugins through real cells: every call, from end to end. */
#include <signal.h>
#include <time.h>

#include "penstock/plugin.h"
#include "stand.h"

static nursery *spawner;
static stand s;

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    const char *plugins[] = {"echo_source", "echo_notifier", "echo_metric", "echo_model", NULL};
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

static instance_batch *read_rows(instance *in, uint32_t max_rows)
{
    status st;
    instance_turn turn = INSTANCE_END;
    instance_batch *b = NULL;
    uint32_t wait;
    must(instance_read(in, NULL, max_rows, &turn, &b, &wait, &st), &st);
    assert_int_equal(turn, INSTANCE_ROWS);
    assert_non_null(b);
    return b;
}

static void check_row(const instance_batch *b, uint32_t row, int64_t n)
{
    const column *c = b->rows.columns;
    char name[32];
    snprintf(name, sizeof name, "row %lld", (long long)n);
    assert_int_equal(((const int64_t *)c[0].values)[row], 1767225600000000 + n * 1000000);
    assert_int_equal(((const int64_t *)c[1].values)[row], n);
    assert_int_equal(column_is_null(&c[2], row), n % 3 == 0);
    if (n % 3)
        assert_true(((const double *)c[2].values)[row] == (double)n / 2);
    int32_t begin = c[3].offsets[row], end = c[3].offsets[row + 1];
    assert_int_equal(end - begin, strlen(name));
    assert_memory_equal(c[3].data + begin, name, strlen(name));
    assert_int_equal(bitmap_get(c[4].values, row), n % 2);
    assert_int_equal(((const int64_t *)c[5].values)[row], n);
    assert_int_equal(((const int32_t *)c[6].values)[row], 20484);
    assert_int_equal(((const uint8_t *)c[7].values)[16 * row + 15], 0xff);
}

static void a_source_hands_over_rows_of_every_type(void **state)
{
    (void)state;
    status st;
    static const column_type types[] = {COLUMN_TIMESTAMP, COLUMN_INTEGER, COLUMN_NUMBER,
                                        COLUMN_TEXT,      COLUMN_BOOLEAN, COLUMN_INTEGER,
                                        COLUMN_DATE,      COLUMN_UUID,    COLUMN_JSON};
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"rows\": 25, \"rejects\": 2}");
    must(instance_open(in, NULL, "3", 1, &st), &st);
    assert_true(instance_source_replays(in));
    instance_batch *b = read_rows(in, 10);
    assert_string_equal(b->stream, "odd");
    assert_int_equal(b->rows.n_rows, 10);
    assert_int_equal(b->rows.n_columns, 9);
    for (int i = 0; i < 9; i++)
        assert_int_equal(b->rows.columns[i].type, types[i]);
    assert_int_equal(instance_batch_column(b, "day"), 6);
    assert_int_equal(instance_batch_column(b, "nothing"), -1);
    for (uint32_t i = 0; i < 10; i++)
        check_row(b, i, 3 + i);
    assert_int_equal(b->cursor_len, 2);
    assert_memory_equal(b->cursor, "13", 2);
    assert_int_equal(b->n_rejects, 2);
    assert_int_equal(b->rejects[0].payload_len, 8);
    assert_string_equal(b->rejects[0].where, "column 2");
    assert_string_equal(b->rejects[1].where, "");
    assert_string_equal(b->rejects[1].reason, "it is no row");

    /* What was handed over stays, whatever the cell does next. */
    instance_batch *next = read_rows(in, 100);
    assert_int_equal(next->rows.n_rows, 12);
    check_row(next, 11, 24);
    check_row(b, 9, 12);
    must(instance_ack(in, NULL, b->cursor, b->cursor_len, &st), &st);

    instance_turn turn;
    uint32_t wait;
    instance_batch *none;
    must(instance_read(in, NULL, 10, &turn, &none, &wait, &st), &st);
    assert_int_equal(turn, INSTANCE_END);
    assert_int_equal(wait, 777);
    assert_null(none);
    instance_state seen = stand_state(&s);
    assert_int_equal(seen.n_metrics, 2);
    assert_true(seen.metrics[0].value == 22 && seen.metrics[0].count == 2); /* counter */
    assert_true(seen.metrics[1].value == 13);                               /* gauge */
    assert_int_equal(seen.rows_out, 22);
    assert_int_equal(seen.rejects_out, 4);
    assert_non_null(strstr(seen.sandbox, "\"profile\":\"net\",\"no_new_privs\":true,\"capabilities\":"
                                         "\"none\",\"seccomp\":\"allow-list+notify\""));
    instance_batch_free(b);
    instance_batch_free(next);
    instance_free(in);
}

static void raw_payloads_pass_as_bytes(void **state)
{
    (void)state;
    status st;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"rows\": 3, \"raw\": true}");
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    instance_batch *b = read_rows(in, 10);
    assert_true(b->raw);
    int payload = instance_batch_column(b, "_payload");
    const column *c = &b->rows.columns[payload];
    assert_int_equal(c->type, COLUMN_TEXT);
    assert_int_equal(c->offsets[3], 12);
    assert_memory_equal(c->data + c->offsets[1], "1;\xff\n", 4);
    instance_batch_free(b);
    instance_free(in);
}

static void a_killed_cell_loses_nothing_that_was_not_acked(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"rows\": 40}");
    must(instance_open(in, &call, NULL, 0, &st), &st);
    instance_batch *durable = read_rows(in, 10), *lost = read_rows(in, 10);
    must(instance_ack(in, &call, durable->cursor, durable->cursor_len, &st), &st);
    kill(stand_state(&s).pid, SIGKILL);

    instance_turn turn;
    uint32_t wait;
    instance_batch *b;
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    /* Noticed before the call, or in it: either way it is said that the cell is gone, and how. */
    assert_true(call.fault == PLUGIN_FAULT_DIED || call.fault == PLUGIN_FAULT_CLOSED);
    assert_non_null(strstr(st.text, "killed by signal 9"));
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_CLOSED);

    must(instance_open(in, &call, durable->cursor, durable->cursor_len, &st), &st);
    b = read_rows(in, 10);
    check_row(b, 0, 10);
    assert_int_equal(((const int64_t *)lost->rows.columns[1].values)[0], 10);
    assert_int_equal(stand_state(&s).deaths, 1);
    assert_int_equal(stand_state(&s).starts, 2);
    instance_batch_free(b);
    instance_batch_free(durable);
    instance_batch_free(lost);
    instance_free(in);
}

static nursery_operations slow;
static const nursery_operations *usual;
static int late; /* answers that are still to be waited for */

static status_class wait_late(nursery *n, const nursery_child *child, int timeout_ms, nursery_exit *out,
                              status *st)
{
    if (late > 0 && late--)
        return status_set(st, STATUS_TIMEOUT, "process %d is still running", child->pid);
    return usual->wait(n, child, timeout_ms, out, st);
}

static void see_late(int times)
{
    usual = usual ? usual : spawner->operations;
    slow = *usual;
    slow.wait = wait_late;
    late = times;
    spawner->operations = times ? &slow : usual;
}

/* On a busy machine a dying cell closes its socket seconds before it is gone; how it died is waited for. */
static void a_cell_that_dies_slowly_says_how(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance_turn turn;
    uint32_t wait;
    instance_batch *b;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"rows\": 40}");
    must(instance_open(in, &call, NULL, 0, &st), &st);
    see_late(5);
    pid_t pid = stand_state(&s).pid;
    kill(pid, SIGKILL);
    while (kill(pid, 0) == 0) /* until the nursery has taken it away */
        usleep(1000);
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    assert_non_null(strstr(st.text, "killed by signal 9"));
    assert_int_equal(late, 0);
    see_late(0);
    instance_free(in);
}

static void errors_keep_their_meaning(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance_turn turn;
    uint32_t wait;
    instance_batch *b;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"away\": true}");
    must(instance_open(in, &call, NULL, 0, &st), &st);
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_AWAY);
    assert_int_equal(call.retry_after_ms, 1234);
    assert_int_equal(call.vendor_code, 42);
    assert_string_equal(st.text, "it: the far side is away");
    instance_free(in);

    in = stand_instance(&s, "org.penstock.test.echo-source", "{\"refuse\": true}");
    assert_int_equal(instance_start(in, &call, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_CONFIG);
    assert_string_equal(st.where, "/refuse");
    assert_int_equal(stand_state(&s).deaths, 0);
    instance_free(in);

    in = stand_instance(&s, "org.penstock.test.echo-notifier", "{}");
    assert_int_equal(instance_open(in, &call, NULL, 0, &st), STATUS_UNSUPPORTED);
    assert_int_equal(call.fault, PLUGIN_FAULT_UNSUPPORTED);
    assert_int_equal(instance_read(in, &call, 10, &turn, &b, &wait, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_CLOSED);
    instance_free(in);
}

static void secrets_come_at_use_and_only_by_reference(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"token\": \"door\"}");
    must(instance_open(in, &call, NULL, 0, &st), &st);
    instance_free(in);
    in = stand_instance(&s, "org.penstock.test.echo-source", "{\"token\": \"window\"}");
    assert_int_equal(instance_open(in, &call, NULL, 0, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_CONFIG);
    assert_string_equal(st.where, "/token");
    assert_non_null(strstr(st.text, "there is no secret window"));
    instance_free(in);
}

static void check_discover_and_push_answer(void **state)
{
    (void)state;
    status st;
    json_t *streams;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{}");
    must(instance_check(in, NULL, &st), &st);
    must(instance_discover(in, NULL, &streams, &st), &st);
    assert_int_equal(json_array_size(streams), 3);
    json_decref(streams);

    instance_header header = {"x-kind", "test"};
    instance_request request = {
        .method = "POST", .path = "/", .headers = &header, .n_headers = 1, .body = "5", .body_len = 1};
    instance_reply reply;
    must(instance_receive(in, NULL, &request, &reply, &st), &st);
    assert_int_equal(reply.http_status, 202);
    assert_string_equal(reply.content_type, "text/plain");
    assert_string_equal(reply.body.data, "thanks");
    assert_int_equal(reply.n_batches, 2);
    assert_int_equal(reply.batches[1]->rows.n_rows, 5);
    check_row(reply.batches[1], 4, 4);
    instance_reply_free(&reply);
    request.n_headers = 0;
    instance_call call = {0};
    assert_int_equal(instance_receive(in, &call, &request, &reply, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_DATA);
    instance_free(in);
}

static void a_notifier_gets_the_whole_message(void **state)
{
    (void)state;
    status st;
    instance_call call = {.work_id = "w-1"};
    instance *in = stand_instance(&s, "org.penstock.test.echo-notifier", "{\"password\": \"door\"}");
    instance_header labels[] = {{"device", "p1"}, {"site", "north"}};
    instance_attachment files[] = {{"a.png", "image/png", "chart", "\0\1", 2},
                                   {"b.txt", "text/plain", NULL, "x", 1}};
    instance_message m = {.severity = PST_SEVERITY_CRITICAL,
                          .at_us = 1,
                          .delivery_id = "d-7",
                          .title = "Pressure",
                          .text = "too high",
                          .html = "<b>too high</b>",
                          .json = "{\"a\":1}",
                          .labels = labels,
                          .n_labels = 2,
                          .attachments = files,
                          .n_attachments = 2};
    instance_delivery d;
    must(instance_send(in, &call, &m, &d, &st), &st);
    assert_true(d.accepted);
    assert_string_equal(d.external_id, "d-7|html|2 labels|2 files chart|{\"a\":1}|11|w-1");
    m.title = "bad address";
    assert_int_equal(instance_send(in, &call, &m, &d, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_DATA);
    instance_free(in);
}

/* Two text rows, "x" and "yz", of a batch whose offsets do not begin at 0. */
static const int32_t offsets[] = {3, 4, 6};
static const double numbers[] = {1.5, 2.5};
static const int32_t days[] = {0, 20484};
static const column columns[] = {{.type = COLUMN_NUMBER, .values = numbers},
                                 {.type = COLUMN_TEXT, .offsets = offsets, .data = "abcxyz"},
                                 {.type = COLUMN_DATE, .values = days}};
static const char *const names[] = {"value", "word", "day"};
static const batch two_rows = {.n_rows = 2, .n_columns = 3, .columns = columns};
static const batch no_rows = {.n_rows = 0, .n_columns = 3, .columns = columns};

static void a_metric_engine_evaluates_named_inputs(void **state)
{
    (void)state;
    status st;
    instance_call call = {0};
    instance *in = stand_instance(&s, "org.penstock.test.echo-metric", "{}");
    instance_input inputs[] = {{"first", names, &two_rows}, {"second", names, &no_rows}};
    instance_batch *b;
    must(instance_evaluate(in, &call, "{\"sum\": \"value\"}", "{\"k\": 1}", inputs, 2, &b, &st), &st);
    assert_int_equal(b->rows.n_rows, 2);
    assert_true(((const double *)b->rows.columns[2].values)[0] == 4.0);
    assert_int_equal(((const int64_t *)b->rows.columns[1].values)[1], 0);
    instance_batch_free(b);
    must(instance_evaluate(in, &call, "{\"sum\": \"word\"}", NULL, inputs, 1, &b, &st), &st);
    assert_true(((const double *)b->rows.columns[2].values)[0] == 3.0); /* bytes of "x" and "yz" */
    instance_batch_free(b);
    must(instance_evaluate(in, &call, "{\"sum\": \"day\"}", NULL, inputs, 1, &b, &st), &st);
    assert_true(((const double *)b->rows.columns[2].values)[0] == 20.0); /* two dates as text */
    instance_batch_free(b);
    assert_non_null(strstr(stand_state(&s).sandbox, "\"profile\":\"pure\""));
    must(instance_prepare(in, &call, "{\"sum\": \"a\"}", &st), &st);
    assert_int_equal(instance_prepare(in, &call, "{\"sum\": 3}", &st), STATUS_INVALID);
    assert_string_equal(st.where, "/sum");
    instance_free(in);
}

static void a_model_trains_and_infers_and_is_loaded_once(void **state)
{
    (void)state;
    status st;
    instance *in = stand_instance(&s, "org.penstock.test.echo-model", "{}");
    instance_input input = {"rows", names, &two_rows};
    text artifact = {0};
    json_t *info;
    uint32_t context = 0;
    must(instance_train(in, NULL, &input, 1, &artifact, &info, &st), &st);
    assert_int_equal(artifact.len, sizeof(double));
    assert_true(json_real_value(json_object_get(info, "mean")) == 2.0);
    json_decref(info);
    must(instance_context(in, NULL, &context, &st), &st);
    assert_int_equal(context, 5);
    for (int i = 0; i < 3; i++) {
        instance_batch *b;
        must(instance_infer(in, NULL, artifact.data, artifact.len, &input, 1, &b, &st), &st);
        assert_true(b->aligned);
        assert_true(((const double *)b->rows.columns[0].values)[1] == 0.5);
        assert_int_equal(((const int64_t *)b->rows.columns[1].values)[0], 1);
        instance_batch_free(b);
    }
    instance_call call = {0};
    instance_batch *b;
    assert_int_equal(instance_infer(in, &call, "x", 1, &input, 1, &b, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_DATA);
    text_free(&artifact);
    instance_free(in);
}

static void idle_cells_stop_and_nobody_notices(void **state)
{
    (void)state;
    status st;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{}");
    must(instance_check(in, NULL, &st), &st);
    assert_int_equal(instance_set_stop_idle(s.set, 60000000), 0);
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    assert_int_equal(instance_set_stop_idle(s.set, 0), 0); /* an open source stays */
    instance_close(in);
    assert_int_equal(instance_set_stop_idle(s.set, 0), 1);
    assert_int_equal(stand_state(&s).condition, INSTANCE_STOPPED);
    must(instance_check(in, NULL, &st), &st);
    assert_int_equal(stand_state(&s).condition, INSTANCE_RUNNING);
    instance_free(in);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void large_batches_pass(void **state)
{
    (void)state;
    status st;
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{\"rows\": 200000}");
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    instance_batch *b = read_rows(in, 100000);
    assert_int_equal(b->rows.n_rows, 100000);
    check_row(b, 99999, 99999);
    instance_batch_free(b);
    b = read_rows(in, 100);
    check_row(b, 0, 100000);
    instance_batch_free(b);
    instance_free(in);
}

enum { ROWS = 10000, ROUNDS = 50 };

/* The best of several, in microseconds: one column of 10,000 numbers there, two back. */
static double best_round_trip(instance *in, const text *artifact, const instance_input *input)
{
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        status st;
        instance_batch *b;
        double began = now_us();
        must(instance_infer(in, NULL, artifact->data, artifact->len, input, 1, &b, &st), &st);
        double took = now_us() - began;
        assert_int_equal(b->rows.n_rows, ROWS);
        best = took < best ? took : best;
        instance_batch_free(b);
    }
    return best;
}

/* Prints the figures that docs/abi/wire.md quotes; there is no limit to them here, machines differ. */
static void start_and_round_trip_are_measured(void **state)
{
    (void)state;
    status st;
    static double values[ROWS];
    const column column = {.type = COLUMN_NUMBER, .values = values};
    const batch rows = {.n_rows = ROWS, .n_columns = 1, .columns = &column};
    instance_input input = {"rows", names, &rows};
    text artifact = {0};
    json_t *info;
    double best_start = 1e9;
    for (int i = 0; i < 10; i++) {
        instance *once = stand_instance(&s, "org.penstock.test.echo-model", "{}");
        double began = now_us();
        must(instance_start(once, NULL, &st), &st);
        double took = now_us() - began;
        best_start = took < best_start ? took : best_start;
        instance_free(once);
    }
    instance *in = stand_instance(&s, "org.penstock.test.echo-model", "{}");
    must(instance_train(in, NULL, &input, 1, &artifact, &info, &st), &st);
    print_message("start of a cell to ready: %.0f us; round trip of 10,000 rows: %.0f us\n", best_start,
                  best_round_trip(in, &artifact, &input));
    json_decref(info);
    text_free(&artifact);
    instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_hands_over_rows_of_every_type),
        cmocka_unit_test(raw_payloads_pass_as_bytes),
        cmocka_unit_test(a_killed_cell_loses_nothing_that_was_not_acked),
        cmocka_unit_test(a_cell_that_dies_slowly_says_how),
        cmocka_unit_test(errors_keep_their_meaning),
        cmocka_unit_test(secrets_come_at_use_and_only_by_reference),
        cmocka_unit_test(check_discover_and_push_answer),
        cmocka_unit_test(a_notifier_gets_the_whole_message),
        cmocka_unit_test(a_metric_engine_evaluates_named_inputs),
        cmocka_unit_test(a_model_trains_and_infers_and_is_loaded_once),
        cmocka_unit_test(idle_cells_stop_and_nobody_notices),
        cmocka_unit_test(large_batches_pass),
        cmocka_unit_test(start_and_round_trip_are_measured),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
