/* CPU a row of decode + validate, for the row that performance goals are written for: six columns, 135 bytes
 * as JSON. Beside it: jansson's tree alone, and an own pass of memory (memchr for newlines) as the floor. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/batch_split.h"
#include "base/text.h"
#include "base/utc.h"
#include "flow/decode.h"
#include "flow/journal_record.h"
#include "schema/compile.h"
#include "schema/document.h"

#define ROUNDS 31

static const char schema_text[] =
    "{\"type\":\"object\",\"required\":[\"time\",\"device_id\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"time\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"device_id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64},"
    "\"pressure\":{\"type\":\"number\",\"minimum\":0,\"maximum\":400},\"flow\":{\"type\":\"number\"},"
    "\"temperature\":{\"type\":\"number\",\"minimum\":-50,\"maximum\":150},"
    "\"status\":{\"type\":\"string\",\"enum\":[\"ok\",\"warn\",\"fault\"]}}}";

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_median(const char *what, double *values)
{
    qsort(values, ROUNDS, sizeof *values, by_value);
    printf("%-34s %6.3f us/row  [%.3f .. %.3f]\n", what, values[ROUNDS / 2], values[0], values[ROUNDS - 1]);
}

static void add_row(text *t, uint32_t i, decode_format format)
{
    char when[UTC_TEXT_SIZE];
    int64_t us = 1774720799000000 + (int64_t)i * 10007;
    utc_format(us, when);
    double p = 100 + (double)(i * 7919 % 10000) / 100, f = 40 + (double)(i * 104729 % 1000) / 10;
    if (format == DECODE_LINES) {
        text_printf(t,
                    "sensor_data,device_id=pump-%03u pressure=%.4f,flow=%.3f,temperature=%.3f,status=\"ok\" "
                    "%lld000\n",
                    i % 100, p, f, 20 + f / 10, (long long)us);
        return;
    }
    const char *form = format == DECODE_CSV
                           ? "%s,pump-%03u,%.4f,%.3f,%.3f,ok\n"
                           : "{\"time\":\"%s\",\"device_id\":\"pump-%03u\",\"pressure\":%.4f,\"flow\":%.3f,"
                             "\"temperature\":%.3f,\"status\":\"ok\"}";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    text_printf(t, form, when, i % 100, p, f, 20 + f / 10);
#pragma GCC diagnostic pop
    if (format == DECODE_NDJSON)
        text_add_char(t, '\n');
}

static text make_body(uint32_t n, decode_format format)
{
    text t = {0};
    if (format == DECODE_JSON)
        text_add_char(&t, '[');
    if (format == DECODE_CSV)
        text_add(&t, "time,device_id,pressure,flow,temperature,status\n");
    for (uint32_t i = 0; i < n; i++) {
        if (format == DECODE_JSON && i)
            text_add_char(&t, ',');
        add_row(&t, i, format);
    }
    if (format == DECODE_JSON)
        text_add_char(&t, ']');
    return t;
}

typedef struct decoding { /* bodies of n rows of one format */
    decode_format format;
    uint32_t n;
    decode_plan *plan;
    decoder *d;
    text body;
} decoding;

static decoding decoding_open(const row_plan *rows, decode_format format, uint32_t n)
{
    decode_options o = {
        .format = format, .time_column = "time", .past_us = 400 * UTC_DAY_US, .future_us = UTC_DAY_US};
    status st;
    return (decoding){.format = format,
                      .n = n,
                      .plan = decode_plan_create(rows, &o, &st),
                      .d = decoder_create(),
                      .body = make_body(n, format)};
}

static void decoding_close(decoding *x)
{
    decoder_free(x->d);
    decode_plan_free(x->plan);
    text_free(&x->body);
}

/* CPU a row of one round. */
static double decoding_round(decoding *x)
{
    decode_context context = {.now_us = 1774720799000000, .measurement = "sensor_data"};
    unsigned repeat = 200000 / x->n;
    decode_result r = {0};
    status st;
    double from = cpu_us();
    for (unsigned i = 0; i < repeat; i++)
        decode_body(x->d, x->plan, &context, x->body.data, x->body.len, &r, &st);
    double took = cpu_us() - from;
    if (r.rows.n_rows != x->n)
        abort();
    return took / repeat / x->n;
}

static void measure_decode(const row_plan *rows, decode_format format, uint32_t n)
{
    decoding x = decoding_open(rows, format, n);
    double results[ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        results[round] = decoding_round(&x);
    char what[64];
    snprintf(what, sizeof what, "%s, %u rows (%zu B/row)", decode_format_name(format), n, x.body.len / n);
    print_median(what, results);
    decoding_close(&x);
}

/* Line protocol beside NDJSON, in turn. */
static void compare_lines(const row_plan *rows, uint32_t n)
{
    decoding lines = decoding_open(rows, DECODE_LINES, n), json = decoding_open(rows, DECODE_NDJSON, n);
    double ratios[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double took = decoding_round(&lines);
        ratios[round] = took / decoding_round(&json);
    }
    qsort(ratios, ROUNDS, sizeof *ratios, by_value);
    printf("%-34s %6.3f          [%.3f .. %.3f]  goal at most 1\n", "lp / ndjson, CPU a row",
           ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    decoding_close(&lines);
    decoding_close(&json);
}

static void measure_jansson(uint32_t n)
{
    text body = make_body(n, DECODE_JSON);
    double results[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        double from = cpu_us();
        for (unsigned i = 0; i < 20; i++)
            json_decref(json_loadb(body.data, body.len, 0, NULL));
        results[round] = (cpu_us() - from) / 20 / n;
    }
    print_median("jansson, tree only", results);
    text_free(&body);
}

static void measure_newlines(uint32_t n)
{
    text body = make_body(n, DECODE_NDJSON);
    double results[ROUNDS];
    volatile size_t lines = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double from = cpu_us();
        for (unsigned i = 0; i < 200; i++)
            for (const char *p = body.data; (p = memchr(p, '\n', (size_t)(body.data + body.len - p))); p++)
                lines = lines + 1;
        results[round] = (cpu_us() - from) / 200 / n;
    }
    print_median("memchr for newlines", results);
    text_free(&body);
}

/* What comes after decode on the way to the journal: by shard, into a record. */
static void measure_after(const row_plan *rows, uint32_t n)
{
    decode_options o = {.format = DECODE_NDJSON, .past_us = DECODE_ANY, .future_us = DECODE_ANY};
    decode_context context = {0};
    static const uint32_t entity[] = {1};
    status st;
    decode_plan *plan = decode_plan_create(rows, &o, &st);
    decoder *d = decoder_create();
    text body = make_body(n, DECODE_NDJSON);
    decode_result r;
    decode_body(d, plan, &context, body.data, body.len, &r, &st);
    double split[ROUNDS], encode[ROUNDS];
    arena *a = arena_create(1 << 20);
    size_t bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
        batch parts[4];
        double from = cpu_us();
        for (unsigned i = 0; i < 100; i++) {
            arena_reset(a);
            batch_split(&r.rows, entity, 1, 4, a, parts);
        }
        split[round] = (cpu_us() - from) / 100 / n;
        journal_entry e = {.kind = JOURNAL_ROWS, .store = "sensor_data", .rows = &r.rows};
        from = cpu_us();
        for (unsigned i = 0; i < 100; i++) {
            void *data;
            record_encode(&e, &data, &bytes, &st);
            free(data);
        }
        encode[round] = (cpu_us() - from) / 100 / n;
    }
    print_median("split into 4 shards", split);
    print_median("encode a journal record", encode);
    printf("record: %zu B/row\n", bytes / n);
    arena_free(a);
    decoder_free(d);
    decode_plan_free(plan);
    text_free(&body);
}

int main(void)
{
    status st;
    json_t *document = document_parse(schema_text, sizeof schema_text - 1, &st);
    schema *compiled = document ? schema_compile(document, NULL, &st) : NULL;
    row_plan *rows = compiled ? row_plan_make(compiled, &st) : NULL;
    if (!rows) {
        fprintf(stderr, "%s\n", st.text);
        return 1;
    }
    for (uint32_t n = 10; n <= 10000; n *= 10)
        measure_decode(rows, DECODE_NDJSON, n);
    measure_decode(rows, DECODE_JSON, 1000);
    measure_decode(rows, DECODE_CSV, 1000);
    measure_decode(rows, DECODE_LINES, 1000);
    compare_lines(rows, 1000);
    measure_after(rows, 1000);
    measure_newlines(1000);
    measure_jansson(1000);
    row_plan_free(rows);
    json_decref(document);
    return 0;
}
