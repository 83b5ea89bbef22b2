/* The file becomes one batch; training gets its first rows, then each further row is one call of `infer` with
 * as many rows before it as the model asks for. So no score can know a later row, just as in a live
 * workspace. */
#include "model_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "complaint.h"
#include "exit_code.h"
#include "mapping_flag.h"
#include "model_rows.h"
#include "plugin/workbench.h"
#include "process.h"
#include "progress.h"

#define PATH_SIZE 4096

const flag model_run_flags[] = {
    {"csv", 0, "FILE", "the rows, with a header"},
    {"sep", 0, "CHAR", "separator of the file; default ,"},
    {"time", 0, "COLUMN", "the column with the time; without an offset it is taken as UTC"},
    {"columns", 0, "A,B", "the columns that the model gets"},
    {"train-rows", 0, "N", "rows to train on; default the first half"},
    {"config", 0, "FILE|YAML", "the model's configuration; default {}"},
    {"plugins", 0, "DIR", "look for the plugin there, not among those that ship"},
    {0},
};

typedef struct scoring {
    workbench bench;
    model_rows rows;
    uint32_t train, context;
    text artifact;
} scoring;

static instance_input input_of(const scoring *s, const char *name, const batch *rows)
{
    return (instance_input){.name = name, .columns = (const char *const *)s->rows.names, .rows = rows};
}

static status_class train(scoring *s, status *st)
{
    batch_builder *part = model_rows_part(&s->rows, 0, s->train);
    batch learned = batch_builder_freeze(part);
    instance_input input = input_of(s, "rows", &learned);
    json_t *info = NULL;
    status_class class = instance_train(s->bench.instance, NULL, &input, 1, &s->artifact, &info, st);
    if (class == STATUS_OK)
        class = instance_context(s->bench.instance, NULL, &s->context, st);
    json_decref(info);
    batch_builder_free(part);
    return class;
}

static status_class answer_read(const instance_batch *b, text *line, status *st)
{
    int score = instance_batch_column(b, "score"), anomaly = instance_batch_column(b, "anomaly");
    if (score < 0 || anomaly < 0 || b->rows.n_rows != 1 || b->rows.columns[score].type != COLUMN_NUMBER ||
        b->rows.columns[anomaly].type != COLUMN_BOOLEAN)
        return status_set(st, STATUS_UNSUPPORTED, "the model does not answer with `score` and `anomaly`");
    const column *c = &b->rows.columns[score], *decision = &b->rows.columns[anomaly];
    if (!column_is_null(c, 0))
        text_add_json_number(line, *(const double *)c->values);
    text_add_char(line, ',');
    if (!column_is_null(decision, 0))
        text_add_char(line, bitmap_get(decision->values, 0) ? '1' : '0');
    return STATUS_OK;
}

/* One row, with the rows before it: "score,decision", both empty if the model does not judge it. */
static status_class score_row(scoring *s, uint32_t row, text *line, status *st)
{
    uint32_t before = row < s->context ? row : s->context;
    batch_builder *one = model_rows_part(&s->rows, row, row + 1);
    batch_builder *earlier = model_rows_part(&s->rows, row - before, row);
    batch rows = batch_builder_freeze(one), context = batch_builder_freeze(earlier);
    const instance_input inputs[] = {input_of(s, "rows", &rows), input_of(s, "context", &context)};
    instance_batch *answer = NULL;
    status_class class =
        instance_infer(s->bench.instance, NULL, s->artifact.data, s->artifact.len, inputs, 2, &answer, st);
    if (class == STATUS_OK)
        class = answer_read(answer, line, st);
    instance_batch_free(answer);
    batch_builder_free(one);
    batch_builder_free(earlier);
    return class;
}

static status_class rows_print(invocation *inv, scoring *s, status *st)
{
    progress p;
    text line = {0};
    status_class class = STATUS_OK;
    progress_start(&p, inv, "rows");
    puts("time,score,anomaly");
    for (uint32_t row = 0; row < s->train; row++)
        printf("%s,,\n", s->rows.times[row]);
    for (uint32_t row = s->train; row < s->rows.n && class == STATUS_OK; row++) {
        text_clear(&line);
        class = score_row(s, row, &line, st);
        if (class == STATUS_OK)
            printf("%s,%s\n", s->rows.times[row], line.data);
        progress_show(&p, row, s->rows.n, "scoring");
    }
    progress_end(&p);
    text_free(&line);
    return class;
}

static status_class options_check(const invocation *inv, status *st)
{
    static const char *const needed[] = {"csv", "time", "columns"};
    for (size_t i = 0; i < 3; i++) {
        if (!flag_given(inv, needed[i])) {
            status_set(st, STATUS_INVALID, "--%s is needed", needed[i]);
            return status_hint(st, "--csv FILE --time COLUMN --columns A,B");
        }
    }
    const char *separator = flag_text(inv, "sep", ",");
    if (strlen(separator) != 1)
        return status_set(st, STATUS_INVALID, "--sep takes one character");
    if (strcmp(flag_text(inv, "output", "csv"), "csv") != 0)
        return status_set(st, STATUS_INVALID, "model run prints CSV only");
    return STATUS_OK;
}

static status_class train_rows_of(const invocation *inv, scoring *s, status *st)
{
    long n = s->rows.n / 2;
    if (s->rows.n < 2)
        return status_set(st, STATUS_INVALID, "the file has %u rows; a model needs more", s->rows.n);
    if (flag_number(inv, "train-rows", 1, s->rows.n, &n, st) != STATUS_OK)
        return st->class;
    s->train = (uint32_t)n;
    return STATUS_OK;
}

static status_class folder_of(const char *given, char out[PATH_SIZE], status *st)
{
    if (!given)
        return plugins_find(out, PATH_SIZE, st);
    char *real = realpath(given, NULL);
    if (!real)
        return status_errno(st, errno, given);
    snprintf(out, PATH_SIZE, "%s", real);
    free(real);
    return STATUS_OK;
}

static status_class bench_open(const invocation *inv, workbench *b, status *st)
{
    char folder[PATH_SIZE];
    yaml_tree *config = NULL;
    log_setup(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
    if (folder_of(flag_text(inv, "plugins", NULL), folder, st) != STATUS_OK)
        return st->class;
    status_class class = mapping_flag_read(inv, "config", &config, st);
    json_t *none = json_object();
    const workbench_settings settings = {
        .id = argument(inv, 0), .folder = folder, .config = config ? yaml_tree_root(config) : none};
    if (class == STATUS_OK)
        class = workbench_open(b, &settings, st);
    json_decref(none);
    yaml_tree_free(config);
    return class == STATUS_OK ? instance_start(b->instance, NULL, st) : class;
}

int model_run(invocation *inv)
{
    status st;
    scoring s = {0};
    if (options_check(inv, &st) != STATUS_OK)
        return complain_usage(&st);
    const model_rows_source source = {flag_text(inv, "csv", NULL), *flag_text(inv, "sep", ","),
                                      flag_text(inv, "time", NULL), flag_text(inv, "columns", NULL)};
    status_class class = model_rows_read(&source, &s.rows, &st);
    if (class == STATUS_OK)
        class = train_rows_of(inv, &s, &st);
    if (class == STATUS_OK)
        class = bench_open(inv, &s.bench, &st);
    if (class == STATUS_OK)
        class = train(&s, &st);
    if (class == STATUS_OK)
        class = rows_print(inv, &s, &st);
    workbench_close(&s.bench);
    model_rows_free(&s.rows);
    text_free(&s.artifact);
    return class == STATUS_OK ? EXIT_DONE : complain("the model was not run", &st);
}
