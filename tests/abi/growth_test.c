/* The ABI may grow at the ends of its structs, on both sides: see growth.def. Through real cells; blocks are
 * of just the size that struct_size says, so under ASan a read or a write beyond it kills whoever does it. */
#include <stddef.h>
#include <string.h>

#include "penstock/batch.h"
#include "plugin/instance_out.h"
#include "stand.h"

static nursery *spawner;
static stand s;

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    const char *plugins[] = {"every", "every_longer", "every_short", NULL};
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

/* ---- One call of each function of an interface ---- */

static const int64_t numbers[] = {1};
static const column columns[] = {{.type = COLUMN_INTEGER, .values = numbers}};
static const char *const names[] = {"_seq"};
static const batch one_row = {.n_rows = 1, .n_columns = 1, .columns = columns};
static const instance_input input = {"rows", names, &one_row};

typedef struct trial { /* how many calls of an interface went well, or were not offered */
    instance *in;
    unsigned good, absent;
    bool wrong;
} trial;

static void note(trial *t, status_class class, const status *st)
{
    t->good += class == STATUS_OK;
    t->absent += class == STATUS_UNSUPPORTED;
    if (class == STATUS_OK || class == STATUS_UNSUPPORTED)
        return;
    print_error("%s\n", st->text);
    t->wrong = true;
}

static void try_source(trial *t)
{
    status st;
    instance_turn turn;
    instance_batch *b;
    uint32_t wait;
    note(t, instance_open(t->in, NULL, NULL, 0, &st), &st);
    if (!t->good)
        return;
    status_class class = instance_read(t->in, NULL, 10, &turn, &b, &wait, &st);
    note(t, class, &st);
    instance_batch_free(b);
    class = instance_skip(t->in, NULL, 1, &b, &st);
    note(t, class, &st);
    instance_batch_free(b);
    note(t, instance_ack(t->in, NULL, "c", 1, &st), &st);
    instance_close(t->in);
}

static void try_push(trial *t)
{
    status st;
    instance_reply reply;
    const instance_request request = {.method = "POST", .path = "/"};
    note(t, instance_receive(t->in, NULL, &request, &reply, &st), &st);
    instance_reply_free(&reply);
}

static void try_sink(trial *t)
{
    status st;
    instance_written written;
    const instance_outgoing out = {.store = "datastore:a", .batch_id = "b", .rows = input};
    note(t, instance_write(t->in, NULL, &out, &written, &st), &st);
    instance_written_free(&written);
}

static void try_command(trial *t)
{
    status st;
    json_t *verbs;
    instance_command_result r;
    instance_call call = {.work_id = "w"};
    note(t, instance_command_list(t->in, &call, &verbs, &st), &st);
    json_decref(verbs);
    note(t, instance_command_send(t->in, &call, "v", "{}", &r, &st), &st);
    note(t, instance_command_fetch(t->in, &call, "x", &r, &st), &st);
    note(t, instance_command_find(t->in, &call, "x", &r, &st), &st);
    note(t, instance_command_cancel(t->in, &call, "x", &st), &st);
}

static void try_discover(trial *t)
{
    status st;
    json_t *streams;
    note(t, instance_discover(t->in, NULL, &streams, &st), &st);
    json_decref(streams);
}

static void try_check(trial *t)
{
    status st;
    note(t, instance_check(t->in, NULL, &st), &st);
}

static void try_send(trial *t)
{
    status st;
    instance_delivery d;
    const instance_message m = {.delivery_id = "d", .title = "t", .text = "t"};
    note(t, instance_send(t->in, NULL, &m, &d, &st), &st);
}

static void try_receipts(trial *t)
{
    status st;
    instance_receipts got;
    const instance_request request = {.method = "POST", .path = "/"};
    note(t, instance_receipt_take(t->in, NULL, &request, &got, &st), &st);
    instance_receipts_free(&got);
}

static void try_metric_engine(trial *t)
{
    status st;
    instance_batch *b;
    note(t, instance_prepare(t->in, NULL, "{}", &st), &st);
    note(t, instance_evaluate(t->in, NULL, "{}", NULL, &input, 1, &b, &st), &st);
    instance_batch_free(b);
}

static void try_train(trial *t)
{
    status st;
    text artifact = {0};
    json_t *info;
    note(t, instance_train(t->in, NULL, &input, 1, &artifact, &info, &st), &st);
    json_decref(info);
    text_free(&artifact);
}

static void try_infer(trial *t)
{
    status st;
    uint32_t rows;
    instance_batch *b;
    note(t, instance_context(t->in, NULL, &rows, &st), &st);
    note(t, instance_infer(t->in, NULL, "a", 1, &input, 1, &b, &st), &st);
    instance_batch_free(b);
}

static void try_explain(trial *t)
{
    status st;
    instance_batch *b;
    note(t, instance_explain(t->in, NULL, "a", 1, &input, 1, &b, &st), &st);
    instance_batch_free(b);
}

/* pst_plugin and pst_rate have tests of their own. */
static void try_plugin(trial *t)
{
    try_check(t);
}
#define try_rate try_check

static const struct {
    const char *name;
    size_t size;
    void (*go)(trial *t);
} interfaces[] = {
#define PLUGIN(s) {"pst_" #s, sizeof(pst_##s), try_##s},
    PLUGIN(plugin) PLUGIN(source) PLUGIN(push) PLUGIN(sink) PLUGIN(command) PLUGIN(discover) PLUGIN(check)
        PLUGIN(send) PLUGIN(receipts) PLUGIN(metric_engine) PLUGIN(train) PLUGIN(infer) PLUGIN(explain)
            PLUGIN(rate)
#undef PLUGIN
};
enum { INTERFACES = sizeof interfaces / sizeof *interfaces };

/* growth.def is the list; one that is not above fails here. */
static void every_struct_of_the_plugin_is_tried(void **state)
{
    (void)state;
    static const char *const listed[] = {
#define PLUGIN(s) #s,
#define HOST(s)
#define FILLED(s)
#define FINAL(s)
#define GROWS(s, who) who(s)
#include "growth.def"
#undef PLUGIN
#undef HOST
#undef FILLED
#undef FINAL
#undef GROWS
    };
    assert_int_equal(sizeof listed / sizeof *listed, INTERFACES);
    for (size_t i = 0; i < INTERFACES; i++)
        assert_string_equal(listed[i], interfaces[i].name);
}

static trial run(const char *id, const char *config, void (*go)(trial *t))
{
    trial t = {.in = stand_instance(&s, id, config)};
    go(&t);
    if (stand_state(&s).deaths) {
        print_error("%s: %s\n", config, stand_state(&s).last_death);
        t.wrong = true;
    }
    instance_free(t.in);
    return t;
}

static trial run_cut(size_t which, size_t size)
{
    char config[128];
    snprintf(config, sizeof config, "{\"struct\": \"%s\", \"size\": %zu}", interfaces[which].name, size);
    trial t = run("org.penstock.test.every", config, interfaces[which].go);
    if (t.wrong)
        print_error("%s with %zu bytes of %zu\n", interfaces[which].name, size, interfaces[which].size);
    return t;
}

static void interfaces_of_older_and_newer_plugins_are_read_as_far_as_they_reach(void **state)
{
    (void)state;
    unsigned tried = 0;
    for (size_t i = 1; i + 1 < INTERFACES; i++) {
        unsigned most = 0;
        for (size_t size = 8; size <= interfaces[i].size; size += 8, tried++) {
            trial t = run_cut(i, size);
            assert_false(t.wrong);
            assert_true(t.good >= most); /* a longer one never has less */
            most = t.good;
            assert_true(size < interfaces[i].size || !t.absent);
        }
        trial longer = run_cut(i, interfaces[i].size + 64);
        assert_false(longer.wrong);
        assert_int_equal(longer.good, most);
        tried++;
    }
    print_message("%u lengths of %d structs\n", tried, INTERFACES - 2);
}

static void a_rate_is_read_as_far_as_it_reaches(void **state)
{
    (void)state;
    status st;
    for (size_t size = 8; size <= sizeof(pst_rate) + 64; size += 8) {
        char config[64];
        snprintf(config, sizeof config, "{\"struct\": \"pst_rate\", \"size\": %zu}", size);
        instance *in = stand_instance(&s, "org.penstock.test.every", config);
        instance_call call = {0};
        status_class class = instance_check(in, &call, &st);
        assert_int_equal(class, size < sizeof(pst_rate) ? STATUS_INVALID : STATUS_OK);
        assert_int_equal(call.fault, size < sizeof(pst_rate) ? PLUGIN_FAULT_CONFIG : PLUGIN_FAULT_NONE);
        instance_free(in);
    }
}

static void on_entry(const plugin_entry *entry, void *arg)
{
    if (strstr(entry->file, "every_short.so"))
        *(const char **)arg = entry->broken ? entry->broken : "accepted";
}

static void a_description_that_is_too_short_is_refused(void **state)
{
    (void)state;
    const char *said = "not seen";
    catalog_list(s.catalog, on_entry, &said);
    assert_non_null(strstr(said, "shorter than the first version's"));
}

/* A plugin of a longer header, asked for everything: it looks at what it gets and finds a cell as this one
 * is. */
static void a_plugin_of_a_longer_header_runs(void **state)
{
    (void)state;
    unsigned good = 0;
    for (size_t i = 0; i < INTERFACES; i++) {
        trial t = run("org.penstock.test.every-longer", LONGER_CELL ? "{\"longer\": true}" : "{}",
                      interfaces[i].go);
        assert_false(t.wrong);
        assert_int_equal(t.absent, 0);
        good += t.good;
    }
    print_message("%u calls\n", good);
}

/* And one of today's. */
static void a_plugin_of_this_header_runs(void **state)
{
    (void)state;
    for (size_t i = 0; i < INTERFACES; i++) {
        trial t = run("org.penstock.test.every", "{}", interfaces[i].go);
        assert_false(t.wrong);
        assert_int_equal(t.absent, 0);
    }
}

/* ---- What the SDK writes into the host's structs ---- */

static void errors_are_written_as_far_as_they_reach(void **state)
{
    (void)state;
    for (uint32_t size = sizeof(uint32_t); size <= sizeof(pst_error) + 64; size += 4) {
        pst_error *error = test_calloc(1, size); /* its guards are checked at the end */
        error->struct_size = size;
        char where[64] = "", message[512] = "";
        assert_int_equal(pst_fail(error, PST_E_DATA, "/a", "%s", "what failed: cause"), PST_E_DATA);
        if (size > offsetof(pst_error, where) + 4)
            snprintf(where, sizeof where, "%s", error->where);
        if (size > offsetof(pst_error, message) + 40)
            snprintf(message, sizeof message, "%s", error->message);
        assert_string_equal(where, size > offsetof(pst_error, where) + 4 ? "/a" : "");
        assert_string_equal(message, size > offsetof(pst_error, message) + 40 ? "what failed: cause" : "");
        test_free(error);
    }
}

static void batches_are_written_only_where_they_fit(void **state)
{
    (void)state;
    for (uint32_t size = sizeof(uint32_t); size <= sizeof(pst_batch) + 64; size += 4) {
        pst_error error = {.struct_size = sizeof error};
        pst_batch *out = test_calloc(1, size);
        out->struct_size = size;
        pst_builder *b = pst_builder_create();
        pst_builder_set_int(b, pst_builder_column(b, "n", PST_INTEGER), 1);
        pst_builder_row(b);
        pst_builder_reject(b, "x", 1, NULL, "no");
        pst_status status = pst_builder_finish(b, "s", (pst_bytes){"c", 1}, 0, out, &error);
        assert_int_equal(status, size < sizeof(pst_batch) ? PST_E_UNSUPPORTED : PST_OK);
        if (status == PST_OK) {
            out->array.release(&out->array);
            out->schema.release(&out->schema);
        }
        pst_builder_free(b);
        test_free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_struct_of_the_plugin_is_tried),
        cmocka_unit_test(interfaces_of_older_and_newer_plugins_are_read_as_far_as_they_reach),
        cmocka_unit_test(a_rate_is_read_as_far_as_it_reaches),
        cmocka_unit_test(a_description_that_is_too_short_is_refused),
        cmocka_unit_test(a_plugin_of_a_longer_header_runs),
        cmocka_unit_test(a_plugin_of_this_header_runs),
        cmocka_unit_test(errors_are_written_as_far_as_they_reach),
        cmocka_unit_test(batches_are_written_only_where_they_fit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
