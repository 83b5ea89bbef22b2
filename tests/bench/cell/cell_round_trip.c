/* What does the cell cost? The same rows through the same model, by a direct call and through a cell, in
 * turn: 1 to 100,000 rows of six columns, for a trivial kernel (six columns back) and for the anomaly model.
 * Both sides end with every answered value read. A round is many calls of one way, then as many of the other;
 * the ratio is the median over the rounds of each round's ratio. */
#include <stdlib.h>
#include <time.h>

#include "direct.h"
#include "rows.h"
#include "tests/unit/plugin/stand.h"

enum { ROUNDS = 7, TRAINING_ROWS = 5000, CALLS_MAX = 400 };

typedef struct subject {
    const char *title;
    instance *in;
    direct direct;
    json_t *config;
    text artifact;
    double round_us; /* how long one side of a round should take */
    double bar;      /* of the ratio at 10,000 rows */
} subject;

static volatile uint64_t sink;

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return values[n / 2];
}

static uint64_t bytes_read(const void *data, size_t n)
{
    const uint8_t *at = data;
    uint64_t sum = 0, word;
    for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    for (; n; n--)
        sum += *at++;
    return sum;
}

static uint64_t text_read(const int32_t *offsets, const char *data, uint32_t n)
{
    return bytes_read(offsets, (n + 1) * sizeof *offsets) + bytes_read(data, (size_t)offsets[n]);
}

static void direct_once(subject *s, rows *r)
{
    pst_batch b;
    uint64_t sum = 0;
    pst_input input = {"rows", &r->schema, &r->array};
    direct_infer(&s->direct, &input, 1, &b);
    for (size_t i = 0; i < (size_t)b.array.n_children; i++) {
        pst_column c;
        pst_error error = {.struct_size = sizeof error};
        if (pst_column_at(&b.schema, &b.array, i, &c, &error) != PST_OK)
            abort();
        sum += c.type == PST_TEXT ? text_read(c.offsets, c.data, c.rows)
                                  : bytes_read(c.values, c.type == PST_BOOLEAN ? c.rows / 8 : c.rows * 8);
    }
    assert_int_equal(b.array.length, r->batch.n_rows);
    b.array.release(&b.array);
    b.schema.release(&b.schema);
    sink += sum;
}

static void cell_once(subject *s, rows *r)
{
    status st;
    instance_batch *b;
    uint64_t sum = 0;
    instance_input input = {"rows", rows_names, &r->batch};
    must(instance_infer(s->in, NULL, s->artifact.data, s->artifact.len, &input, 1, &b, &st), &st);
    for (uint32_t i = 0; i < b->rows.n_columns; i++) {
        const column *c = &b->rows.columns[i];
        uint32_t n = b->rows.n_rows;
        sum += c->type == COLUMN_TEXT ? text_read(c->offsets, c->data, n)
                                      : bytes_read(c->values, c->type == COLUMN_BOOLEAN ? n / 8 : n * 8);
    }
    assert_int_equal(b->rows.n_rows, r->batch.n_rows);
    instance_batch_free(b);
    sink += sum;
}

/* Microseconds of one call. */
static double calls(subject *s, rows *r, void (*once)(subject *, rows *), int n)
{
    double began = now_us();
    for (int i = 0; i < n; i++)
        once(s, r);
    return (now_us() - began) / n;
}

static void compare(subject *s, uint32_t n)
{
    rows *r = rows_make(n);
    double direct_us[ROUNDS], cell_us[ROUNDS], ratio[ROUNDS];
    direct_once(s, r);
    double once_us = calls(s, r, direct_once, 1);
    calls(s, r, cell_once, 3);
    int n_calls = (int)(s->round_us / once_us) + 1;
    n_calls = n_calls > CALLS_MAX ? CALLS_MAX : n_calls;
    for (int i = 0; i < ROUNDS; i++) {
        direct_us[i] = calls(s, r, direct_once, n_calls);
        cell_us[i] = calls(s, r, cell_once, n_calls);
        ratio[i] = cell_us[i] / direct_us[i];
    }
    double in_middle = median(ratio, ROUNDS);
    printf("%-16s %7u rows: direct %10.1f us, cell %10.1f us, ratio %7.3f [%.3f..%.3f]", s->title, n,
           median(direct_us, ROUNDS), median(cell_us, ROUNDS), in_middle, ratio[0], ratio[ROUNDS - 1]);
    printf(n == 10000 ? " (bar %.2f: %s)\n" : "\n", s->bar, in_middle <= s->bar ? "met" : "MISSED");
    fflush(stdout);
    rows_free(r);
}

static void subject_open(subject *s, stand *at, const char *id, const char *file, const char *config)
{
    status st;
    const plugin_entry *entry = catalog_find(at->catalog, id, &st);
    json_t *given = json_loads(config, 0, NULL);
    must(plugin_config_complete(entry, given, &s->config, &st), &st);
    plugin_entry_release(entry);
    json_decref(given);
    s->in = stand_instance(at, id, config);
    if (strstr(file, "anomaly")) {
        json_t *info;
        rows *r = rows_make(TRAINING_ROWS);
        instance_input input = {"rows", rows_names, &r->batch};
        must(instance_train(s->in, NULL, &input, 1, &s->artifact, &info, &st), &st);
        json_decref(info);
        rows_free(r);
    }
    direct_open(&s->direct, file, s->config, (pst_bytes){s->artifact.data, s->artifact.len});
}

static void subject_close(subject *s)
{
    direct_close(&s->direct);
    instance_free(s->in);
    json_decref(s->config);
    text_free(&s->artifact);
}

/* Arguments, for a profiler: the only number of rows to measure, the only subject (its first letter). */
int main(int argc, char **argv)
{
    uint32_t only = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    static const uint32_t sizes[] = {1, 100, 1000, 10000, 100000};
    status st;
    stand at;
    nursery *spawner = nursery_start(&st);
    stand_up(&at, spawner, (const char *const[]){"kernel", NULL});
    char anomaly[4200];
    snprintf(anomaly, sizeof anomaly, "%s/anomaly.so", at.plugins);
    must(disk_copy(ANOMALY_MODEL, anomaly, 0644, &st), &st);
    catalog_scan(at.catalog);
    subject subjects[] = {{.title = "kernel by hand", .round_us = 20000, .bar = 2.5},
                          {.title = "trivial kernel", .round_us = 50000, .bar = 2.5},
                          {.title = "anomaly model", .round_us = 200000, .bar = 1.05}};
    subject_open(&subjects[0], &at, "org.penstock.bench.kernel", TEST_PLUGINS "/kernel.so", "{}");
    subject_open(&subjects[1], &at, "org.penstock.bench.kernel", TEST_PLUGINS "/kernel.so",
                 "{\"builder\": true}");
    subject_open(&subjects[2], &at, "org.penstock.model.anomaly", ANOMALY_MODEL, "{}");
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            if ((!only || only == sizes[k]) && (argc < 3 || argv[2][0] == subjects[i].title[0]))
                compare(&subjects[i], sizes[k]);
        }
    for (size_t i = 0; i < 3; i++)
        subject_close(&subjects[i]);
    stand_down(&at);
    nursery_stop(spawner);
    return 0;
}
