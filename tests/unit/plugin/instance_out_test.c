/* What goes out through real cells: rows to a sink, commands, receipts of a notifier, explanations of a
 * model; and answers of each that cannot be, which cost the plugin its cell. */
#include <string.h>

#include "penstock/plugin.h"
#include "plugin/instance_out.h"
#include "stand.h"

static nursery *spawner;
static stand s;

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    const char *plugins[] = {"echo_sink", "echo_notifier", "echo_model", "echo_source", NULL};
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

static const double good[] = {1.5, 2.5, 4}, mixed[] = {1, -2, -3}, fatal[] = {1, -2, -100};
static const int64_t seqs[] = {41, 42, 43};
static const char *const names[] = {"_seq", "value"};

static status_class write_rows(instance *in, const double *values, instance_call *call, bool again,
                               instance_written *written, status *st)
{
    const column columns[] = {{.type = COLUMN_INTEGER, .values = seqs},
                              {.type = COLUMN_NUMBER, .values = values}};
    const batch rows = {.n_rows = 3, .n_columns = 2, .columns = columns};
    const instance_outgoing out = {.store = "datastore:readings",
                                   .batch_id = "b-1",
                                   .again = again,
                                   .first_seq = 41,
                                   .last_seq = 43,
                                   .rows = {"rows", names, &rows}};
    return instance_write(in, call, &out, written, st);
}

static void told(instance *in, const char *expected)
{
    status st;
    instance_call call = {.work_id = "w-9"};
    instance_command_result r;
    must(instance_command_send(in, &call, "told", "3", &r, &st), &st);
    assert_int_equal(r.state, INSTANCE_COMMAND_DONE);
    assert_string_equal(json_string_value(json_object_get(r.reply, "told")), expected);
    assert_int_equal(json_integer_value(json_object_get(r.reply, "input")), 3);
    json_decref(r.reply);
}

static void a_sink_gets_rows_with_stable_ids(void **state)
{
    (void)state;
    status st;
    instance_call call = {.work_id = "w-1"};
    instance_written written;
    instance *in = stand_instance(&s, "org.penstock.test.echo-sink", "{}");
    must(write_rows(in, good, &call, false, &written, &st), &st);
    assert_int_equal(written.n_refused, 0);
    told(in, "datastore:readings b-1 41..43 work w-1 sum 8.0 first seq 41");
    must(write_rows(in, mixed, &call, true, &written, &st), &st);
    assert_int_equal(written.n_refused, 2);
    assert_int_equal(written.refused[0].row, 1);
    assert_string_equal(written.refused[1].reason, "below zero");
    instance_written_free(&written);
    told(in, "datastore:readings b-1 again 41..43 work w-1 sum 1.0 first seq 41");
    assert_int_equal(write_rows(in, fatal, &call, false, &written, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_DATA);
    assert_int_equal(written.n_refused, 0);
    assert_int_equal(stand_state(&s).deaths, 0);
    instance_free(in);
}

static void commands_are_sent_found_and_fetched(void **state)
{
    (void)state;
    status st;
    json_t *verbs;
    instance_command_result r;
    instance_call call = {.work_id = "w-2"};
    instance *in = stand_instance(&s, "org.penstock.test.echo-sink", "{}");
    must(instance_command_list(in, NULL, &verbs, &st), &st);
    assert_string_equal(json_string_value(json_object_get(json_array_get(verbs, 0), "verb")), "open");
    json_decref(verbs);
    must(instance_command_send(in, &call, "open", "{}", &r, &st), &st);
    assert_int_equal(r.state, INSTANCE_COMMAND_ACCEPTED);
    assert_string_equal(r.external_id, "x-w-2");
    json_decref(r.reply);
    must(instance_command_fetch(in, NULL, r.external_id, &r, &st), &st);
    assert_int_equal(r.state, INSTANCE_COMMAND_DONE);
    assert_null(r.reply);
    must(instance_command_find(in, NULL, "w-2", &r, &st), &st);
    assert_int_equal(r.state, INSTANCE_COMMAND_DONE);
    must(instance_command_find(in, NULL, "w-3", &r, &st), &st);
    assert_int_equal(r.state, INSTANCE_COMMAND_UNKNOWN);
    assert_int_equal(instance_command_send(in, &call, "break", "{}", &r, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_AWAY);
    assert_int_equal(instance_command_cancel(in, &call, "x-1", &st), STATUS_UNSUPPORTED);
    assert_int_equal(call.fault, PLUGIN_FAULT_UNSUPPORTED);
    instance_free(in);
}

/* One call that must fail with this class. */
static void fails(const char *config, bool by_write, status_class expected, plugin_fault fault)
{
    status st;
    json_t *verbs;
    instance_written written;
    instance_command_result r;
    instance_call call = {.work_id = "w-4"};
    instance *in = stand_instance(&s, "org.penstock.test.echo-sink", config);
    status_class class = by_write                 ? write_rows(in, mixed, &call, false, &written, &st)
                         : strstr(config, "list") ? instance_command_list(in, &call, &verbs, &st)
                                                  : instance_command_send(in, &call, "open", "{}", &r, &st);
    if (class != expected || call.fault != fault)
        fail_msg("%s: %s, fault %s: %s", config, status_class_name(class), plugin_fault_name(call.fault),
                 class == STATUS_OK ? "" : st.text);
    assert_int_equal(stand_state(&s).deaths, 1);
    instance_free(in);
}

static void answers_that_cannot_be_cost_the_cell(void **state)
{
    (void)state;
    fails("{\"misbehave\": \"row\"}", true, STATUS_INTERNAL, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"many\"}", true, STATUS_INTERNAL, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"utf8\"}", true, STATUS_INVALID, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"die\"}", true, STATUS_UNAVAILABLE, PLUGIN_FAULT_DIED);
    fails("{\"misbehave\": \"state\"}", false, STATUS_INVALID, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"nameless\"}", false, STATUS_INVALID, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"json\"}", false, STATUS_INVALID, PLUGIN_FAULT_BUG);
    fails("{\"misbehave\": \"list\"}", false, STATUS_INVALID, PLUGIN_FAULT_BUG);
}

static void what_is_left_out_is_fine(void **state)
{
    (void)state;
    status st;
    instance_call call = {.work_id = "w-5"};
    instance_command_result r;
    instance *in = stand_instance(&s, "org.penstock.test.echo-sink", "{\"misbehave\": \"silent\"}");
    must(instance_command_send(in, &call, "open", "{}", &r, &st), &st);
    assert_null(r.reply);
    instance_free(in);
    in = stand_instance(&s, "org.penstock.test.echo-sink", "{\"misbehave\": \"endless\"}");
    must(instance_command_send(in, &call, "open", "{}", &r, &st), &st);
    assert_int_equal(strlen(r.external_id), sizeof r.external_id - 1);
    json_decref(r.reply);
    instance_free(in);
}

static void receipts_move_deliveries(void **state)
{
    (void)state;
    status st;
    instance_receipts got;
    instance_call call = {0};
    instance *in = stand_instance(&s, "org.penstock.test.echo-notifier", "{}");
    instance_request request = {.method = "POST", .path = "/", .body = "a !b c", .body_len = 6};
    must(instance_receipt_take(in, &call, &request, &got, &st), &st);
    assert_int_equal(got.n, 3);
    assert_string_equal(got.items[1].external_id, "b");
    assert_int_equal(got.items[1].state, INSTANCE_RECEIPT_FAILED);
    assert_int_equal(got.items[2].state, INSTANCE_RECEIPT_DELIVERED);
    assert_int_equal(got.items[2].at_us, 7);
    assert_int_equal(got.reply.http_status, 200);
    assert_string_equal(got.reply.body.data, "got it");
    instance_receipts_free(&got);
    request.path = "/endless";
    must(instance_receipt_take(in, &call, &request, &got, &st), &st);
    assert_int_equal(strlen(got.items[0].external_id), sizeof got.items[0].external_id - 1);
    instance_receipts_free(&got);
    request.path = "/many";
    assert_int_equal(instance_receipt_take(in, &call, &request, &got, &st), STATUS_INTERNAL);
    instance_free(in);
    in = stand_instance(&s, "org.penstock.test.echo-notifier", "{}");
    request.path = "/state";
    assert_int_equal(instance_receipt_take(in, &call, &request, &got, &st), STATUS_INVALID);
    assert_int_equal(call.fault, PLUGIN_FAULT_BUG);
    instance_free(in);
}

static void a_model_explains_its_scores(void **state)
{
    (void)state;
    status st;
    const double mean = 2;
    const column columns[] = {{.type = COLUMN_INTEGER, .values = seqs},
                              {.type = COLUMN_NUMBER, .values = good}};
    const batch rows = {.n_rows = 3, .n_columns = 2, .columns = columns};
    const instance_input input = {"rows", names, &rows};
    instance_batch *b;
    instance *in = stand_instance(&s, "org.penstock.test.echo-model", "{}");
    must(instance_explain(in, NULL, &mean, sizeof mean, &input, 1, &b, &st), &st);
    assert_int_equal(b->rows.n_rows, 3);
    assert_int_equal(instance_batch_column(b, "column"), 2);
    assert_true(((const double *)b->rows.columns[3].values)[2] == 2);
    instance_batch_free(b);
    instance_free(in);
}

static void plugins_without_these_say_so(void **state)
{
    (void)state;
    status st;
    instance_call call = {.work_id = "w-6"};
    instance_written written;
    instance_receipts receipts;
    instance_command_result r;
    instance_request request = {.method = "POST", .path = "/", .body = "", .body_len = 0};
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{}");
    assert_int_equal(write_rows(in, good, &call, false, &written, &st), STATUS_UNSUPPORTED);
    assert_int_equal(instance_command_send(in, &call, "open", "{}", &r, &st), STATUS_UNSUPPORTED);
    assert_int_equal(instance_receipt_take(in, &call, &request, &receipts, &st), STATUS_UNSUPPORTED);
    assert_int_equal(stand_state(&s).deaths, 0);
    instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sink_gets_rows_with_stable_ids),
        cmocka_unit_test(commands_are_sent_found_and_fetched),
        cmocka_unit_test(answers_that_cannot_be_cost_the_cell),
        cmocka_unit_test(what_is_left_out_is_fine),
        cmocka_unit_test(receipts_move_deliveries),
        cmocka_unit_test(a_model_explains_its_scores),
        cmocka_unit_test(plugins_without_these_say_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
