/* The anomaly model: row by row equals all at once, missing values, own and pooled fits, damaged artifacts,
 * and that it finds what it should on made-up series. The public benchmarks are scored by
 * tests/bench/anomaly. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "chi.h"
#include "deviation.h"
#include "fit.h"
#include "novelty.h"
#include "plugin_bench.h"

static const pst_train *trainer(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_TRAIN);
}

static const pst_infer *scorer(void)
{
    return penstock_plugin_v1.get_interface(PST_IF_INFER);
}

static double noise_of(uint64_t *seed)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*seed >> 11) / 9007199254740992.0;
    }
    return sum;
}

typedef struct rows { /* two columns, some entities */
    uint32_t n, per_entity;
    double *a, *b;
} rows;

/* b follows a; from row `broken` of the last entity on it does not. */
static rows rows_make(uint32_t entities, uint32_t per_entity, uint32_t broken)
{
    rows r = {entities * per_entity, per_entity, NULL, NULL};
    uint64_t seed = 42;
    r.a = calloc(r.n, sizeof(double));
    r.b = calloc(r.n, sizeof(double));
    for (uint32_t i = 0; i < r.n; i++) {
        uint32_t entity = i / per_entity, at = i % per_entity;
        double day = sin(at * 0.0436);
        bool fault = entity == entities - 1 && at >= broken;
        r.a[i] = 5 + entity + day + 0.05 * noise_of(&seed);
        r.b[i] = 100 - 10 * day + 0.5 * noise_of(&seed) - (fault ? 25 : 0);
        if (at % 17 == 3)
            r.a[i] = NAN;
    }
    return r;
}

static void rows_free(rows *r)
{
    free(r->a);
    free(r->b);
}

/* Rows from … to-1 as an input; NaN becomes null. */
static void input_of(const rows *r, uint32_t from, uint32_t to, pst_batch *out)
{
    pst_builder *b = pst_builder_create();
    int entity = pst_builder_column(b, "_entity", PST_TEXT), time = pst_builder_column(b, "_time", PST_TIME);
    int first = pst_builder_column(b, "a", PST_NUMBER), second = pst_builder_column(b, "b", PST_NUMBER);
    for (uint32_t i = from; i < to; i++) {
        char name[16];
        snprintf(name, sizeof name, "e%u", i / r->per_entity);
        pst_builder_set_text(b, entity, name);
        pst_builder_set_int(b, time, (int64_t)(i % r->per_entity) * 600000000);
        if (!isnan(r->a[i]))
            pst_builder_set_real(b, first, r->a[i]);
        pst_builder_set_real(b, second, r->b[i]);
        pst_builder_row(b);
    }
    *out = plugin_bench_batch();
    assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, 0, out, NULL), PST_OK);
    pst_builder_free(b);
}

static pst_input named(const char *name, const pst_batch *batch)
{
    return (pst_input){name, &batch->schema, &batch->array};
}

static pst_blob train(plugin_bench *b, const rows *r, uint32_t to)
{
    pst_batch input;
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_call call = plugin_bench_call();
    input_of(r, 0, to, &input);
    pst_input in = named("rows", &input);
    assert_int_equal(trainer()->train(b->self, &call, &in, 1, &artifact, &info, &b->error), PST_OK);
    json_t *facts = json_loadb(info.data, info.len, 0, NULL);
    assert_non_null(facts);
    assert_int_equal(json_integer_value(json_object_get(facts, "rows")), to);
    json_decref(facts);
    info.release(&info);
    plugin_bench_release(&input);
    return artifact;
}

static void infer(plugin_bench *b, const void *loaded, const rows *r, uint32_t context, uint32_t from,
                  uint32_t to, double *scores)
{
    pst_batch score, before, out = plugin_bench_batch();
    pst_call call = plugin_bench_call();
    input_of(r, from, to, &score);
    input_of(r, from - context, from, &before);
    pst_input in[] = {named("rows", &score), named("context", &before)};
    assert_int_equal(scorer()->infer(b->self, &call, loaded, in, 2, &out, &b->error), PST_OK);
    assert_int_equal(out.flags, PST_BATCH_ALIGNED);
    assert_int_equal(out.array.length, to - from);
    pst_column c, d;
    assert_int_equal(pst_column_find(&out.schema, &out.array, "score", &c, NULL), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "anomaly", &d, NULL), PST_OK);
    for (uint32_t i = 0; i < to - from; i++) {
        scores[i] = pst_column_null(&c, i) ? NAN : pst_column_real(&c, i);
        assert_true(isnan(scores[i]) || pst_column_flag(&d, i) == (scores[i] >= 0.5));
    }
    plugin_bench_release(&out);
    plugin_bench_release(&score);
    plugin_bench_release(&before);
}

/* Scores rows from … to-1 at once and one at a time with only the declared context: bit for bit the same. */
static void check_streaming(const char *config, uint32_t learn, const rows *r, double *scores)
{
    plugin_bench b = {0};
    void *loaded = NULL;
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(&b, config), PST_OK);
    pst_blob artifact = train(&b, r, learn);
    assert_int_equal(
        scorer()->load(b.self, &call, (pst_bytes){artifact.data, artifact.len}, &loaded, &b.error), PST_OK);
    infer(&b, loaded, r, learn, learn, r->n, scores);
    uint32_t reach = scorer()->context_rows(b.self);
    for (uint32_t i = learn; i < r->n; i += 3) {
        double one;
        infer(&b, loaded, r, i < reach ? i : reach, i, i + 1, &one);
        assert_memory_equal(&one, &scores[i - learn], sizeof one);
    }
    scorer()->unload(b.self, loaded);
    artifact.release(&artifact);
    plugin_bench_close(&b);
}

static void several_channels_find_a_broken_relation(void **state)
{
    (void)state;
    rows r = rows_make(1, 900, 800);
    double scores[900 - 600];
    check_streaming("{\"columns\": [\"a\", \"b\"]}", 600, &r, scores);
    unsigned alarms = 0, found = 0;
    for (uint32_t i = 0; i < 300; i++)
        *(i < 200 ? &alarms : &found) += scores[i] >= 0.5;
    assert_true(alarms <= 2);
    assert_true(found >= 98);
    assert_true(scores[210] > 0.9 && scores[299] > 0.9);
    rows_free(&r);
}

static void one_channel_finds_news(void **state)
{
    (void)state;
    rows r = rows_make(1, 1200, 1100);
    double scores[1200 - 700];
    check_streaming("{\"columns\": [\"b\"], \"memory\": 400}", 700, &r, scores);
    double before = 0, at = 0;
    for (uint32_t i = 0; i < 400; i++)
        before += scores[i] >= 0.5;
    for (uint32_t i = 400; i < 410; i++)
        at = fmax(at, scores[i]);
    assert_true(before <= 8);
    assert_true(at > 0.9);
    assert_true(scores[499] < 0.5); /* a level that lasts is no news */
    rows_free(&r);
}

/* An entity with rows enough is judged by its own scale, one without by the pooled one. */
static void entities_have_their_own_fit(void **state)
{
    (void)state;
    plugin_bench b = {0};
    rows r = rows_make(3, 300, 280);
    void *loaded = NULL;
    pst_call call = plugin_bench_call();
    assert_int_equal(plugin_bench_open(&b, "{\"columns\": [\"a\", \"b\"], \"window\": 3}"), PST_OK);
    pst_blob artifact = train(&b, &r, 840);
    fit f;
    assert_int_equal(fit_load((pst_bytes){artifact.data, artifact.len}, &f, &b.error), PST_OK);
    assert_int_equal(f.n_entities, 3);
    assert_string_equal(f.columns[1], "b");
    fit_free(&f);
    assert_int_equal(
        scorer()->load(b.self, &call, (pst_bytes){artifact.data, artifact.len}, &loaded, &b.error), PST_OK);
    double scores[60];
    infer(&b, loaded, &r, 300, 840, 900, scores);
    assert_true(scores[50] > 0.9 && scores[30] < 0.5);
    scorer()->unload(b.self, loaded);
    artifact.release(&artifact);
    rows_free(&r);
    plugin_bench_close(&b);
}

/* Faults inside the training rows must not teach the model that they are normal. */
static void a_fault_in_training_is_left_out(void **state)
{
    (void)state;
    rows r = rows_make(1, 1100, 1000);
    double scores[1100 - 1010];
    check_streaming("{\"columns\": [\"a\", \"b\"], \"window\": 3}", 1010, &r, scores);
    assert_true(scores[5] > 0.9 && scores[89] > 0.9);
    rows_free(&r);
}

static void too_few_rows_are_refused(void **state)
{
    (void)state;
    plugin_bench b = {0};
    pst_batch input;
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_call call = plugin_bench_call();
    rows r = rows_make(1, 61, 99);
    for (uint32_t n = 59; n <= 61; n++) {
        assert_int_equal(plugin_bench_open(&b, "{\"columns\": [\"b\", \"a\"]}"), PST_OK);
        input_of(&r, 0, n, &input);
        pst_input in = named("rows", &input);
        assert_int_equal(trainer()->train(b.self, &call, &in, 1, &artifact, &info, &b.error),
                         n < 60 ? PST_E_DATA : PST_OK);
        if (n >= 60) {
            artifact.release(&artifact);
            info.release(&info);
        }
        plugin_bench_release(&input);
        plugin_bench_close(&b);
    }
    rows_free(&r);
}

static void damaged_artifacts_are_refused(void **state)
{
    (void)state;
    plugin_bench b = {0};
    rows r = rows_make(2, 100, 90);
    assert_int_equal(plugin_bench_open(&b, "{\"columns\": [\"a\", \"b\"]}"), PST_OK);
    pst_blob artifact = train(&b, &r, 200);
    for (size_t len = 0; len < artifact.len; len += 5) {
        fit f;
        assert_int_equal(fit_load((pst_bytes){artifact.data, len}, &f, &b.error), PST_E_DATA);
    }
    artifact.release(&artifact);
    rows_free(&r);
    plugin_bench_close(&b);
}

static void unknown_columns_name_the_config(void **state)
{
    (void)state;
    plugin_bench b = {0};
    pst_batch input;
    pst_blob artifact = {.struct_size = sizeof artifact}, info = {.struct_size = sizeof info};
    pst_call call = plugin_bench_call();
    rows r = rows_make(1, 100, 90);
    assert_int_equal(plugin_bench_open(&b, "{\"columns\": [\"c\"]}"), PST_OK);
    input_of(&r, 0, 100, &input);
    pst_input in = named("rows", &input);
    assert_int_equal(trainer()->train(b.self, &call, &in, 1, &artifact, &info, &b.error), PST_E_CONFIG);
    assert_string_equal(b.error.where, "/columns");
    plugin_bench_release(&input);
    rows_free(&r);
    plugin_bench_close(&b);
}

/* Reference values: R's pchisq(lower = FALSE, log = TRUE) / -log(10). */
static void tails_are_right(void **state)
{
    (void)state;
    assert_true(fabs(chi_tail_decades(3.841458820694124, 1) - 1.3010299956639813) < 1e-9);
    assert_true(fabs(chi_tail_decades(26.12448155837614, 8) - 3) < 1e-9);
    assert_true(fabs(chi_tail_decades(2, 2) - 1 / log(10)) < 1e-12);
    assert_true(fabs(chi_tail_decades(2000, 2) - 1000 / log(10)) < 1e-6);
    assert_true(chi_tail_decades(0, 3) == 0 && chi_tail_decades(-1, 3) == 0);
    assert_true(fabs(chi_tail_quantile(3, 8) - 26.12448155837614) < 1e-9);
}

/* ---- The rig recordings, if they are there: what the README claims must not get worse unseen. */

enum { SKAB_COLUMNS = 8, SKAB_ROWS_MAX = 2000, SKAB_LEARN = 400 };

/* Rows of a file (datetime;8 numbers;anomaly;changepoint) and their labels. */
static uint32_t skab_read(const char *path, double *rows, bool *labels)
{
    char line[512];
    uint32_t n = 0;
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof line, in));
    while (n < SKAB_ROWS_MAX && fgets(line, sizeof line, in)) {
        char *at = strchr(line, ';');
        for (int k = 0; k < SKAB_COLUMNS; k++)
            rows[n * SKAB_COLUMNS + k] = strtod(at + 1, &at);
        labels[n++] = strtod(at + 1, NULL) > 0.5;
    }
    fclose(in);
    return n;
}

/* counts: true and false alarms, missed, rightly quiet. */
static void skab_count(const char *path, unsigned counts[4])
{
    static double rows[SKAB_ROWS_MAX * SKAB_COLUMNS];
    static bool labels[SKAB_ROWS_MAX];
    const deviation_options options = {10, 14};
    uint32_t n = skab_read(path, rows, labels), learn = SKAB_LEARN;
    double *numbers = calloc(deviation_size(SKAB_COLUMNS), sizeof *numbers);
    assert_true(deviation_fit(rows, &learn, 1, SKAB_COLUMNS, &options, numbers));
    for (uint32_t i = SKAB_LEARN; i < n; i++) {
        const double *window = rows + (size_t)(i + 1 - options.window) * SKAB_COLUMNS;
        bool alarm = deviation_decades(numbers, window, options.window, SKAB_COLUMNS, &options) >= 3;
        counts[labels[i] ? (alarm ? 0 : 2) : alarm ? 1 : 3]++;
    }
    free(numbers);
}

static void the_rig_recordings_are_judged_as_claimed(void **state)
{
    (void)state;
    static const char *const files[] = {"valve1/0", "valve1/14", "valve1/15", "valve1/3", "valve1/4",
                                        "valve1/6", "valve1/7",  "valve1/8",  "valve2/2", "valve2/3",
                                        "other/11", "other/14",  "other/3",   "other/4",  "other/5",
                                        "other/6",  "other/7"};
    unsigned c[4] = {0};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "anomaly/skab/%s.csv", files[i]);
        const char *path = testdata(name);
        if (!path || access(path, R_OK))
            skip();
        skab_count(path, c);
    }
    double f1 = 2.0 * c[0] / (2.0 * c[0] + c[1] + c[2]), false_rate = (double)c[1] / (c[1] + c[3]);
    print_message("F1 %.3f, false alarm rate %.3f\n", f1, false_rate);
    assert_true(f1 >= 0.84 && false_rate <= 0.10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tails_are_right),
        cmocka_unit_test(several_channels_find_a_broken_relation),
        cmocka_unit_test(one_channel_finds_news),
        cmocka_unit_test(entities_have_their_own_fit),
        cmocka_unit_test(a_fault_in_training_is_left_out),
        cmocka_unit_test(too_few_rows_are_refused),
        cmocka_unit_test(damaged_artifacts_are_refused),
        cmocka_unit_test(unknown_columns_name_the_config),
        cmocka_unit_test(the_rig_recordings_are_judged_as_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
