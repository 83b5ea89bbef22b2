/* `penstock model run` with the anomaly model that ships: its form, and that no score knows a later row. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "base/random.h"
#include "base/utc.h"
#include "program.h"

#define ROWS 120
#define TRAIN 60
#define CUT 90

static status st;

/* Two noisy channels; from row CUT + 5 on one of them leaves its level. */
static const char *csv_make(const char *folder, const char *name, int rows)
{
    static char path[4200];
    text csv = {0};
    random_seeded noise = {.state = 7};
    text_add(&csv, "t;a b;b\n");
    for (int i = 0; i < rows; i++) {
        char time[UTC_TEXT_SIZE];
        utc_format(INT64_C(1700000000000000) + i * UTC_SECOND_US, time);
        time[strlen(time) - 1] = '\0'; /* without its Z: taken as UTC */
        double a = (double)(random_seeded_next(&noise) % 1000) / 1000,
               b = (double)(random_seeded_next(&noise) % 1000) / 500;
        text_printf(&csv, "%s;%g;%g\n", time, a + (i > CUT + 5 ? 50 : 0), b);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(disk_write(path, csv.data, csv.len, 0600, &st), STATUS_OK);
    text_free(&csv);
    return path;
}

static program_result run(const char *path, const char *more)
{
    char words[8400];
    snprintf(
        words, sizeof words,
        "model run org.penstock.model.anomaly --csv %s --sep ; --time t --columns b --train-rows %d -o csv%s",
        path, TRAIN, more);
    return program_run(words, "/nonexistent/c.yaml", NULL, NULL);
}

static unsigned lines_ending(const text *t, const char *end)
{
    unsigned n = 0;
    char with_break[16];
    snprintf(with_break, sizeof with_break, "%s\n", end);
    for (const char *at = t->data; (at = strstr(at, with_break)); at++)
        n++;
    return n;
}

static void rows_are_scored_one_by_one(void **state)
{
    (void)state;
    char *folder = test_folder();
    program_result whole = run(csv_make(folder, "whole.csv", ROWS), "");
    assert_int_equal(whole.code, 0);
    assert_int_equal(strncmp(whole.out.data, "time,score,anomaly\n2023-11-14T22:13:20,,\n", 41), 0);
    assert_int_equal(lines_ending(&whole.out, ",,"), TRAIN);
    assert_int_equal(lines_ending(&whole.out, ",0") + lines_ending(&whole.out, ",1"), ROWS - TRAIN);
    program_result part = run(csv_make(folder, "part.csv", CUT), "");
    assert_int_equal(part.code, 0);
    assert_int_equal(strncmp(part.out.data, whole.out.data, part.out.len), 0);
    program_result_release(&whole);
    program_result_release(&part);
    test_folder_remove(folder);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    char *folder = test_folder();
    const char *path = csv_make(folder, "w.csv", ROWS);
    static const struct {
        const char *more, *said;
        int code;
    } cases[] = {
        {" --columns c", "no column `c`", 7},
        {" --config {\"windw\":1}", "windw", 7},
        {" --config {", "--config", 7},
        {" --config [1]", "a mapping", 7},
        {" --config /nonexistent.yaml", "/nonexistent.yaml", 4},
        {" --train-rows 121", "--train-rows", 7},
        {" --sep ,,", "one character", 2},
        {" -o json", "CSV only", 2},
        {" --plugins /nonexistent", "/nonexistent", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_result r = run(path, cases[i].more);
        assert_int_equal(r.code, cases[i].code);
        assert_non_null(strstr(r.err.data, cases[i].said));
        assert_int_equal(r.out.len, 0);
        program_result_release(&r);
    }
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_scored_one_by_one),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
