/* The plugins that ship, each as its shared object in a real cell, sandbox included. */
#include <math.h>
#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "penstock/plugin.h"
#include "support/sink.h"
#include "unit/plugin/stand.h"

static nursery *spawner;
static stand s;

static int setup(void **state)
{
    (void)state;
    static const char *const plugins[][2] = {
        {"connectors/csv", "csv"},        {"connectors/simulator", "simulator"},
        {"notifiers/webhook", "webhook"}, {"notifiers/email", "email"},
        {"metrics/stats", "stats"},       {"models/anomaly", "anomaly"},
    };
    status st;
    spawner = nursery_start(&st);
    stand_up(&s, spawner, NULL);
    for (size_t i = 0; i < sizeof plugins / sizeof plugins[0]; i++)
        stand_drop_in(&s, plugins[i][0], plugins[i][1]);
    assert_int_equal(catalog_scan(s.catalog), sizeof plugins / sizeof plugins[0]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stand_down(&s);
    nursery_stop(spawner);
    return 0;
}

static void count_broken(const plugin_entry *entry, void *arg)
{
    if (entry->broken) {
        print_error("%s: %s\n", entry->file, entry->broken);
        ++*(unsigned *)arg;
    }
}

static void all_are_in_the_catalog(void **state)
{
    (void)state;
    unsigned broken = 0;
    catalog_list(s.catalog, count_broken, &broken);
    assert_int_equal(broken, 0);
}

/* Reads to the end, killing the cell now and then; counts the rows of batches that were acked. */
static uint64_t drain_with_kills(instance *in, text *rows, unsigned kill_every)
{
    status st;
    char cursor[8192];
    size_t cursor_len = 0;
    uint64_t n = 0;
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    for (unsigned i = 1;; i++) {
        instance_turn turn;
        instance_batch *b = NULL;
        uint32_t wait;
        instance_call call = {0};
        if (kill_every && i % kill_every == 0)
            kill(stand_state(&s).pid, SIGKILL);
        if (instance_read(in, &call, 5, &turn, &b, &wait, &st)) {
            assert_true(call.fault == PLUGIN_FAULT_DIED || call.fault == PLUGIN_FAULT_CLOSED);
            must(instance_open(in, NULL, cursor, cursor_len, &st), &st);
            continue;
        }
        if (turn != INSTANCE_ROWS)
            return n;
        const column *c = &b->rows.columns[0];
        if (b->raw)
            text_add_n(rows, c->data, (size_t)c->offsets[b->rows.n_rows]);
        n += b->rows.n_rows;
        cursor_len = b->cursor_len;
        memcpy(cursor, b->cursor, cursor_len);
        instance_batch_free(b);
    }
}

static void csv_gives_each_record_once_though_its_cell_dies(void **state)
{
    (void)state;
    status st;
    char path[4200], config[4300];
    text rows = {0}, file = {0}, expected = {0};
    text_add(&file, "n\n");
    for (int i = 0; i < 60; i++) {
        text_printf(&file, "%d;\n", i);
        text_printf(&expected, "%d;", i);
    }
    snprintf(path, sizeof path, "%s/rows.csv", s.folder);
    must(disk_write(path, file.data, file.len, 0644, &st), &st);
    snprintf(config, sizeof config, "{\"path\": \"%s\"}", path);
    instance *in = stand_instance(&s, "org.penstock.connector.csv", config);
    assert_int_equal(drain_with_kills(in, &rows, 6), 60);
    assert_string_equal(rows.data, expected.data);
    instance_free(in);
    text_free(&rows);
    text_free(&file);
    text_free(&expected);
}

static void the_simulator_backfills_and_then_waits(void **state)
{
    (void)state;
    instance *in = stand_instance(&s, "org.penstock.connector.simulator",
                                  "{\"devices\": 2, \"backfill\": \"30m\", \"cadence\": \"1m\"}");
    uint64_t n = drain_with_kills(in, NULL, 0);
    assert_true(n == 62 || n == 64); /* a minute may begin meanwhile */
    instance_free(in);
}

static void note_pid(const instance_state *state, void *arg)
{
    if (state->pid)
        *(pid_t *)arg = state->pid;
}

/* Is a library of this name loaded into the one cell that runs? */
static bool cell_has_loaded(const char *library)
{
    char path[64], line[512];
    bool found = false;
    pid_t pid = 0;
    plugin_states(s.set, note_pid, &pid);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        found = found || strstr(line, library);
    fclose(f);
    return found;
}

static void a_webhook_reaches_its_receiver(void **state)
{
    (void)state;
    status st;
    char config[200];
    sink *receiver = sink_create(SINK_HTTP);
    snprintf(config, sizeof config, "{\"url\": \"http://127.0.0.1:%d/x\", \"secret\": \"door\"}",
             sink_port(receiver));
    instance *in = stand_instance(&s, "org.penstock.notifier.webhook", config);
    instance_message m = {.delivery_id = "d1", .title = "t", .text = "x", .json = "{\"a\":1}"};
    instance_delivery delivery;
    must(instance_start(in, NULL, &st), &st);
    assert_true(cell_has_loaded("libsodium"));
    assert_false(cell_has_loaded("libcurl")); /* a silent notifier is small */
    must(instance_send(in, NULL, &m, &delivery, &st), &st);
    assert_true(cell_has_loaded("libcurl"));
    const char *request = sink_wait(receiver, 0, 5000);
    assert_non_null(strstr(request, "Penstock-Signature: t="));
    assert_non_null(strstr(request, "{\"a\":1}"));
    sink_answer(receiver, "503 Away\r\nRetry-After: 3");
    instance_call call = {0};
    assert_int_equal(instance_send(in, &call, &m, &delivery, &st), STATUS_UNAVAILABLE);
    assert_int_equal(call.fault, PLUGIN_FAULT_AWAY);
    assert_int_equal(call.retry_after_ms, 3000);
    instance_free(in);
    sink_free(receiver);
}

static void a_mail_reaches_its_receiver(void **state)
{
    (void)state;
    status st;
    char config[200];
    sink *receiver = sink_create(SINK_SMTP);
    snprintf(config, sizeof config, "{\"to\": [\"ops@example.org\"], \"url\": \"smtp://localhost:%d\"}",
             sink_port(receiver));
    instance *in = stand_instance(&s, "org.penstock.notifier.email", config);
    instance_message m = {
        .delivery_id = "d1", .title = "Pumpe läuft", .text = "x", .html = "<b>x</b>", .json = "{}"};
    instance_delivery delivery;
    must(instance_start(in, NULL, &st), &st);
    assert_false(cell_has_loaded("libcurl"));
    must(instance_send(in, NULL, &m, &delivery, &st), &st);
    assert_non_null(strstr(sink_wait(receiver, 0, 5000), delivery.external_id));
    must(instance_check(in, NULL, &st), &st);
    instance_free(in);
    sink_free(receiver);
}

/* ---- Rows for metric and model ---- */

enum { ROWS = 400 };
static const char *const names[] = {"_entity", "_time", "flow", "pressure"};

typedef struct made_rows {
    int64_t times[ROWS];
    double flow[ROWS], pressure[ROWS];
    int32_t offsets[ROWS + 1];
    char entities[2 * ROWS];
    column columns[4];
    batch rows;
} made_rows;

/* pressure = 8 - flow / 200 with a little waving; from row `broken` on it is lower by 2. */
static made_rows *rows_make(uint32_t broken)
{
    made_rows *m = calloc(1, sizeof *m);
    for (uint32_t i = 0; i < ROWS; i++) {
        m->times[i] = 1767225600000000 + i * 600000000LL;
        m->flow[i] = 600 + 200 * sin(i * 0.0436) + 7 * sin(i * 1.7);
        m->pressure[i] = 8 - m->flow[i] / 200 + 0.03 * sin(i * 2.9) - (i >= broken ? 2 : 0);
        memcpy(m->entities + 2 * i, "p1", 2);
        m->offsets[i + 1] = (int32_t)(2 * i + 2);
    }
    m->columns[0] = (column){.type = COLUMN_TEXT, .offsets = m->offsets, .data = m->entities};
    m->columns[1] = (column){.type = COLUMN_TIMESTAMP, .values = m->times};
    m->columns[2] = (column){.type = COLUMN_NUMBER, .values = m->flow};
    m->columns[3] = (column){.type = COLUMN_NUMBER, .values = m->pressure};
    m->rows = (batch){ROWS, 4, m->columns};
    return m;
}

static double number(const instance_batch *b, const char *name, uint32_t row)
{
    int c = instance_batch_column(b, name);
    assert_true(c >= 0 && !column_is_null(&b->rows.columns[c], row));
    return ((const double *)b->rows.columns[c].values)[row];
}

static void the_model_trains_and_scores(void **state)
{
    (void)state;
    status st;
    made_rows *m = rows_make(380);
    instance *in = stand_instance(&s, "org.penstock.model.anomaly",
                                  "{\"columns\": [\"flow\", \"pressure\"], \"window\": 3}");
    batch learn = {300, 4, m->columns};
    instance_input training = {"rows", names, &learn}, rows = {"rows", names, &m->rows};
    text artifact = {0};
    json_t *info;
    uint32_t context;
    instance_batch *b;
    must(instance_train(in, NULL, &training, 1, &artifact, &info, &st), &st);
    assert_string_equal(json_string_value(json_object_get(info, "method")), "state");
    json_decref(info);
    must(instance_context(in, NULL, &context, &st), &st);
    assert_int_equal(context, 2);
    must(instance_infer(in, NULL, artifact.data, artifact.len, &rows, 1, &b, &st), &st);
    assert_true(b->aligned && b->rows.n_rows == ROWS);
    assert_true(number(b, "score", 370) < 0.5);
    assert_true(number(b, "score", 390) > 0.9);
    int decision = instance_batch_column(b, "anomaly");
    assert_true(!bitmap_get(b->rows.columns[decision].values, 370) &&
                bitmap_get(b->rows.columns[decision].values, 390));
    instance_batch_free(b);
    text_free(&artifact);
    instance_free(in);
    free(m);
}

/* ---- The demo: two days of two simulated pumps, one cavitates at the end; the model is to say so, and only
 * so. */

enum { DEMO_BUCKETS = 3 * 144, DEMO_DEVICES = 2 };

typedef struct demo_cell { /* ten minutes of a pump */
    double pressure_sum, flow_max;
    unsigned n;
} demo_cell;

static void demo_take(const instance_batch *b, int64_t first_bucket,
                      demo_cell cells[DEMO_DEVICES][DEMO_BUCKETS])
{
    const column *c = b->rows.columns;
    int pressure = instance_batch_column(b, "pressure"), flow = instance_batch_column(b, "flow");
    int device = instance_batch_column(b, "device_id");
    for (uint32_t i = 0; i < b->rows.n_rows; i++) {
        int64_t bucket = ((const int64_t *)c[0].values)[i] / 600000000 - first_bucket;
        if (bucket < 0 || bucket >= DEMO_BUCKETS)
            continue;
        demo_cell *cell = &cells[c[device].data[c[device].offsets[i + 1] - 1] - '1'][bucket];
        double lpm = ((const double *)c[flow].values)[i];
        cell->pressure_sum += ((const double *)c[pressure].values)[i];
        cell->flow_max = lpm > cell->flow_max ? lpm : cell->flow_max;
        cell->n++;
    }
}

/* Fills the cells; returns the number of whole buckets. */
static uint32_t demo_simulate(demo_cell cells[DEMO_DEVICES][DEMO_BUCKETS])
{
    status st;
    int64_t first_bucket = clock_wall_us() / 600000000 - 2 * 144;
    instance *in = stand_instance(&s, "org.penstock.connector.simulator",
                                  "{\"seed\": 7, \"devices\": 2, \"backfill\": \"2d\", \"cadence\": \"1m\","
                                  " \"plant\": \"cavitation:pump-2:40m\"}");
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    for (;;) {
        instance_turn turn;
        instance_batch *b;
        uint32_t wait, n = 0;
        must(instance_read(in, NULL, 1000, &turn, &b, &wait, &st), &st);
        if (turn == INSTANCE_ROWS) {
            demo_take(b, first_bucket, cells);
            instance_batch_free(b);
            continue;
        }
        instance_free(in);
        for (; n < DEMO_BUCKETS && cells[0][n].n; n++)
            ;
        return n - 1; /* the last one has just begun */
    }
}

static void the_planted_fault_is_what_fires(void **state)
{
    (void)state;
    status st;
    static demo_cell cells[DEMO_DEVICES][DEMO_BUCKETS];
    static const char *const columns[] = {"_entity", "_time", "pressure_avg", "flow_max"};
    uint32_t n = demo_simulate(cells), total = DEMO_DEVICES * n;
    static int64_t times[DEMO_DEVICES * DEMO_BUCKETS];
    static double pressure[DEMO_DEVICES * DEMO_BUCKETS], flow[DEMO_DEVICES * DEMO_BUCKETS];
    static int32_t offsets[DEMO_DEVICES * DEMO_BUCKETS + 1];
    static char names_of[DEMO_DEVICES * DEMO_BUCKETS];
    for (uint32_t i = 0; i < total; i++) {
        const demo_cell *cell = &cells[i / n][i % n];
        times[i] = (int64_t)(i % n) * 600000000;
        pressure[i] = cell->pressure_sum / cell->n;
        flow[i] = cell->flow_max;
        names_of[i] = (char)('1' + i / n);
        offsets[i + 1] = (int32_t)i + 1;
    }
    const column made[] = {{.type = COLUMN_TEXT, .offsets = offsets, .data = names_of},
                           {.type = COLUMN_TIMESTAMP, .values = times},
                           {.type = COLUMN_NUMBER, .values = pressure},
                           {.type = COLUMN_NUMBER, .values = flow}};
    const batch rows = {total, 4, made};
    instance_input input = {"rows", columns, &rows};
    instance *in =
        stand_instance(&s, "org.penstock.model.anomaly", "{\"columns\": [\"pressure_avg\", \"flow_max\"]}");
    text artifact = {0};
    json_t *info;
    instance_batch *b;
    must(instance_train(in, NULL, &input, 1, &artifact, &info, &st), &st); /* the fault is among the rows */
    assert_int_equal(json_integer_value(json_object_get(info, "own_fits")), 2);
    json_decref(info);
    must(instance_infer(in, NULL, artifact.data, artifact.len, &input, 1, &b, &st), &st);
    for (uint32_t i = 0; i < total; i++)
        if (i < total - 5)
            assert_true(number(b, "score", i) < 0.5);
    assert_true(number(b, "score", total - 1) > 0.9);
    assert_true(number(b, "score", total - 2) > 0.9);
    instance_batch_free(b);
    text_free(&artifact);
    instance_free(in);
}

static void the_metric_engine_correlates_and_fits(void **state)
{
    (void)state;
    status st;
    made_rows *m = rows_make(ROWS);
    instance *in = stand_instance(&s, "org.penstock.metric.stats", "{}");
    instance_input input = {"features", names, &m->rows};
    instance_batch *b;
    must(instance_evaluate(in, NULL, "{\"method\": \"regression\", \"x\": \"flow\", \"y\": \"pressure\"}",
                           "{}", &input, 1, &b, &st),
         &st);
    assert_true(fabs(number(b, "slope", 0) + 0.005) < 1e-4);
    assert_true(fabs(number(b, "intercept", 0) - 8) < 0.05);
    instance_batch_free(b);
    must(instance_evaluate(
             in, NULL,
             "{\"method\": \"correlation\", \"columns\": [\"flow\", \"pressure\"], \"kind\": \"spearman\"}",
             "{}", &input, 1, &b, &st),
         &st);
    assert_true(number(b, "value", 0) < -0.98);
    instance_batch_free(b);
    must(instance_evaluate(in, NULL,
                           "{\"method\": \"band\", \"x\": \"flow\", \"y\": \"pressure\", \"points\": 7}",
                           "{}", &input, 1, &b, &st),
         &st);
    assert_int_equal(b->rows.n_rows, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_true(number(b, "lower", i) < number(b, "value", i) &&
                    number(b, "value", i) < number(b, "upper", i));
    instance_batch_free(b);
    static const char *const wrong[][2] = {
        {"{\"method\": \"magic\"}", "/method"},
        {"{\"method\": \"band\", \"x\": \"a\"}", "/y"},
        {"{\"method\": \"correlation\", \"columns\": [\"a\"]}", "/columns"},
        {"{\"method\": \"correlation\", \"columns\": [\"a\", 1]}", "/columns/1"}};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(instance_prepare(in, NULL, wrong[i][0], &st), STATUS_INVALID);
        assert_string_equal(st.where, wrong[i][1]);
    }
    instance_free(in);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_in_the_catalog),
        cmocka_unit_test(csv_gives_each_record_once_though_its_cell_dies),
        cmocka_unit_test(the_simulator_backfills_and_then_waits),
        cmocka_unit_test(a_webhook_reaches_its_receiver),
        cmocka_unit_test(a_mail_reaches_its_receiver),
        cmocka_unit_test(the_model_trains_and_scores),
        cmocka_unit_test(the_planted_fault_is_what_fires),
        cmocka_unit_test(the_metric_engine_correlates_and_fits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
