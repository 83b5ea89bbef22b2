/* The commands that need no server, run as programs. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "program.h"

static status st;
static char *folder;

static const char *file(const char *name, const char *content)
{
    static char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(disk_write(path, content, strlen(content), 0600, &st), STATUS_OK);
    return path;
}

__attribute__((format(printf, 2, 3))) static program_result run(const char *input, const char *format, ...)
{
    char words[8400];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return program_run(words, "/nonexistent/c.yaml", NULL, input);
}

static void suite_files_are_counted(void **state)
{
    (void)state;
    const char *path = file("s.json", "[{\"description\":\"g\",\"schema\":{\"type\":\"number\"},\"tests\":["
                                      "{\"description\":\"one\",\"data\":1,\"valid\":true},"
                                      "{\"description\":\"two\",\"data\":\"x\",\"valid\":true}]}]");
    program_result r = run(NULL, "schema test --draft 7 %s", path);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.out.data, "g: two"));
    assert_non_null(strstr(r.out.data, "\n1 passed, 1 failed\n"));
    program_result_release(&r);
    r = run(NULL, "schema test --draft 6 %s", path);
    assert_int_equal(r.code, 2);
    program_result_release(&r);
    r = run(NULL, "schema test %s/none.json", folder);
    assert_int_equal(r.code, 4);
    program_result_release(&r);
}

static void documents_get_a_verdict_each(void **state)
{
    (void)state;
    const char *path = file("schema.json", "{\"properties\":{\"a\":{\"type\":\"number\"}}}");
    program_result r = run("{\"a\":1}\n{\"a\":\"x\"}\n{\"a\":\n", "schema validate --schema %s -", path);
    assert_int_equal(r.code, 7);
    assert_non_null(strstr(r.out.data, "-:1: valid\n-:2: /a: must be number (type)\n-:3: "));
    assert_string_equal(r.err.data, "1 valid, 2 invalid\n");
    program_result_release(&r);
    r = run("{\"a\":\n 1}", "schema validate --schema %s -", path);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out.data, "-: valid\n");
    program_result_release(&r);
}

static void a_datastore_is_proposed(void **state)
{
    (void)state;
    const char *csv = "time;device id;pressure_bar\n2026-01-01T00:00:00Z;p1;1.5\n2026-01-01T00:00:10Z;p2;2\n";
    program_result r = run(NULL, "schema infer %s", file("Pump-rows.csv", csv));
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out.data, "pump_rows:"));
    assert_non_null(strstr(r.out.data, "time: time"));
    program_result_release(&r);
    r = run(NULL, "schema infer %s",
            file("r.ndjson", "{\"time\":\"2026-01-01T00:00:00Z\",\"n\":1}\n{\"n\":2}\n"));
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out.data, "type: integer"));
    program_result_release(&r);
}

#define GOOD                                                                                        \
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: 1.0.0}\ndatastores:\n"    \
    "  d:\n    schema: {type: object, required: [time], properties: {time: {type: string, format: " \
    "date-time}}}\n    time: %s\n"

static void templates_are_checked_with_places(void **state)
{
    (void)state;
    char content[1024];
    snprintf(content, sizeof content, GOOD, "time");
    program_result r = run(NULL, "template validate %s", file("t.yaml", content));
    assert_int_equal(r.code, 0);
    program_result_release(&r);
    snprintf(content, sizeof content, GOOD, "tim");
    r = run(NULL, "template validate -f %s", file("t.yaml", content));
    assert_int_equal(r.code, 7);
    assert_non_null(strstr(r.err.data, "t.yaml:7:11: "));
    program_result_release(&r);
    r = run(NULL, "template validate %s/none.yaml", folder);
    assert_int_equal(r.code, 4);
    program_result_release(&r);
    r = run(NULL, "connector list --url http://127.0.0.1:1");
    assert_int_equal(r.code, 2); /* no workspace is named, nor kept */
    assert_non_null(strstr(r.err.data, "name it with -w"));
    program_result_release(&r);
    r = run(NULL, "template apply --yes");
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(r.err.data, "penstock template apply FILE|DIR, or --plan ID"));
    program_result_release(&r);
}

static void generated_texts_are_whole(void **state)
{
    (void)state;
    static const char *const lines[] = {"help",           "help --man",      "help template",
                                        "help query",     "template --help", "completion bash",
                                        "completion zsh", "template schema", "version"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        program_result r = run(NULL, "%s", lines[i]);
        assert_int_equal(r.code, 0);
        assert_true(r.out.len > 10);
        program_result_release(&r);
    }
}

static int folder_make(void **state)
{
    (void)state;
    folder = test_folder();
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    test_folder_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suite_files_are_counted),   cmocka_unit_test(documents_get_a_verdict_each),
        cmocka_unit_test(a_datastore_is_proposed),   cmocka_unit_test(templates_are_checked_with_places),
        cmocka_unit_test(generated_texts_are_whole),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
