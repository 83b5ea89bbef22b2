/* The built program against a server with prepared answers: exit codes, requests, what is printed where. */
#include "support/check.h"

#include <string.h>

#include "fake_server.h"
#include "program.h"

#define PROBLEM(text) \
    "{\"title\":\"T\",\"detail\":\"" text "\",\"hint\":\"try this\",\"request_id\":\"req_9\"}"
#define JSON "Content-Type: application/json\r\n"

static const char no_config[] = "/nonexistent/penstock.yaml";

static void codes_and_errors(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"GET", "/api/v1/jobs/a", 404, JSON, PROBLEM("no such job")},
        {"GET", "/api/v1/jobs/b", 401, JSON, PROBLEM("wrong key")},
        {"GET", "/api/v1/jobs/c", 403, JSON, PROBLEM("may not")},
        {"GET", "/api/v1/jobs/d", 409, JSON, PROBLEM("moved")},
        {"GET", "/api/v1/jobs/e", 422, JSON, PROBLEM("senseless")},
        {"GET", "/api/v1/jobs/f", 500, "", "no json"},
        {"GET", "/api/v1/jobs/g", 504, JSON, PROBLEM("late")},
        {"GET", "/api/v1/jobs/h", 200, JSON, "{\"id\":\"h\",\"state\":\"running\"}"},
        {"GET", "/api/v1/jobs/i%2F..%20x", 200, JSON, "{}"},
        {0},
    };
    static const struct {
        const char *line;
        int code;
        const char *err;
    } cases[] = {
        {"job show a", 4, "no such job"},
        {"job show b", 5, "wrong key"},
        {"job show c", 5, "may not"},
        {"job show d", 6, "moved"},
        {"job show e", 7, "senseless"},
        {"job show f", 1, "answered 500"},
        {"job show g", 8, "late"},
        {"job show h", 0, ""},
        {"job show", 2, "missing"},
        {"job shw a", 2, "did you mean"},
        {"job show i/..", 4, "no such thing"},
    };
    fake_server *s = fake_server_start(answers);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        program_result r = program_run(cases[i].line, no_config, fake_server_url(s), NULL);
        assert_int_equal(r.code, cases[i].code);
        assert_non_null(strstr(r.err.data, cases[i].err));
        assert_true(r.code == 0 ? r.err.len == 0 : r.out.len == 0);
        program_result_release(&r);
    }
    fake_server_stop(s);
    assert_non_null(strstr(fake_server_request(s, 0)->head.data, "Authorization: Bearer psk_test"));
    fake_server_free(s);
}

static void errors_say_what_why_and_what_to_try(void **state)
{
    (void)state;
    static const fake_answer answers[] = {{"GET", "/api/v1/jobs/a", 404, JSON, PROBLEM("no such job")}, {0}};
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("job show a --debug", no_config, fake_server_url(s), NULL);
    assert_non_null(strstr(
        r.err.data, "penstock: job show failed\n  why: no such job\n  try: try this\n  request id: req_9\n"));
    assert_non_null(strstr(r.err.data, "> GET "));
    assert_null(strstr(r.err.data, "psk_")); /* --debug tells no secrets */
    program_result_release(&r);
    fake_server_stop(s);
    fake_server_free(s);
}

static void nobody_there_is_8(void **state)
{
    (void)state;
    program_result r = program_run("status", no_config, "http://127.0.0.1:1", NULL);
    assert_int_equal(r.code, 8);
    assert_non_null(strstr(r.err.data, "penstock up"));
    program_result_release(&r);
    r = program_run("status", no_config, NULL, NULL);
    assert_int_equal(r.code, 7);
    program_result_release(&r);
}

static void lists_follow_their_pages(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"GET", "/api/v1/workspaces?limit=200", 200, JSON, "{\"items\":[{\"key\":\"a\"}],\"next\":\"c/1\"}"},
        {"GET", "/api/v1/workspaces?limit=200&cursor=c%2F1", 200, JSON,
         "{\"items\":[{\"key\":\"b\"}],\"next\":null}"},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("workspace list -q", no_config, fake_server_url(s), NULL);
    assert_string_equal(r.out.data, "a\nb\n");
    program_result_release(&r);
    r = program_run("workspace list --limit 1 --filter state=x%y -o ndjson", no_config, fake_server_url(s),
                    NULL);
    assert_int_equal(r.code, 4); /* no answer was prepared for that one */
    program_result_release(&r);
    fake_server_stop(s);
    assert_string_equal(fake_server_request(s, 2)->path,
                        "/api/v1/workspaces?limit=1&filter%5Bstate%5D=x%25y");
    fake_server_free(s);
}

static void queries_send_parameters_as_text(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"POST", "/api/v1/workspaces/demo/metrics/pressure:run", 200, JSON,
         "{\"columns\":[{\"name\":\"time\"},{\"name\":\"value\"}],\"rows\":[[\"t1\",1.5],[\"t2\",null]],"
         "\"truncated\":true}"},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("query pressure --from now-1h -p device=pump=1 -o csv", no_config,
                                   fake_server_url(s), NULL);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out.data, "time,value\nt1,1.5\nt2,\n");
    assert_non_null(strstr(r.err.data, "cut"));
    program_result_release(&r);
    fake_server_stop(s);
    assert_string_equal(fake_server_request(s, 0)->body.data,
                        "{\"params\":{\"device\":\"pump=1\",\"from\":\"now-1h\"}}");
    fake_server_free(s);
}

static void ingest_counts_and_shows_rejects(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"POST", "/api/v1/workspaces/demo/datastores/s/rows?wait=stored", 200, JSON,
         "{\"received\":2,\"rejected\":1,\"errors\":[{\"row\":1,\"pointer\":\"/"
         "a\",\"code\":\"type\",\"detail\":\"not a number\"}]}"},
        {"POST", "/api/v1/workspaces/demo/datastores/s/rows", 202, JSON,
         "{\"received\":2,\"rejected\":0,\"errors\":[]}"},
        {"POST", "/api/v1/workspaces/demo/datastores/all/rows", 200, JSON,
         "{\"received\":2,\"rejected\":2,\"errors\":[]}"},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    const char *url = fake_server_url(s), *rows = "{\"a\":1}\n{\"a\":\"x\"}\n";
    program_result r = program_run("ingest s - --format ndjson --wait stored", no_config, url, rows);
    assert_int_equal(r.code, 9);
    assert_string_equal(r.err.data, "row 1 /a: type: not a number\n1 rows taken, 1 rejected\n");
    program_result_release(&r);
    r = program_run("ingest s - --format ndjson -q", no_config, url, rows);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.err.len, 0);
    program_result_release(&r);
    r = program_run("ingest all - --format ndjson", no_config, url, rows);
    assert_int_equal(r.code, 7);
    program_result_release(&r);
    r = program_run("ingest s -", no_config, url, rows);
    assert_int_equal(r.code, 2);
    program_result_release(&r);
    fake_server_stop(s);
    assert_int_equal(fake_server_count(s), 3);
    assert_string_equal(fake_server_request(s, 0)->body.data, rows);
    assert_non_null(strstr(fake_server_request(s, 0)->head.data, "Idempotency-Key: "));
    fake_server_free(s);
}

static void jobs_are_followed_to_their_end(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"POST", "/api/v1/workspaces/demo/models/m:train", 202, "Location: /api/v1/jobs/job_1\r\n", "{}"},
        {"GET", "/api/v1/jobs/job_1", 200, JSON,
         "{\"id\":\"job_1\",\"state\":\"running\",\"progress\":{\"done\":1}}"},
        {"GET", "/api/v1/jobs/job_1", 200, JSON, "{\"id\":\"job_1\",\"state\":\"succeeded\"}"},
        {"POST", "/api/v1/workspaces/demo/models/bad:train", 202, "Location: /api/v1/jobs/job_2\r\n", "{}"},
        {"GET", "/api/v1/jobs/job_2", 200, JSON,
         "{\"id\":\"job_2\",\"state\":\"failed\",\"error\":{\"title\":\"T\",\"detail\":\"too few rows\"}}"},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("model train m", no_config, fake_server_url(s), NULL);
    assert_int_equal(r.code, 0);
    program_result_release(&r);
    r = program_run("model train bad", no_config, fake_server_url(s), NULL);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err.data, "too few rows"));
    program_result_release(&r);
    r = program_run("model train m --detach", no_config, fake_server_url(s), NULL);
    assert_string_equal(r.out.data, "job_1\n");
    program_result_release(&r);
    fake_server_stop(s);
    fake_server_free(s);
}

static void a_busy_server_is_asked_again(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"POST", "/api/v1/workspaces/demo/datastores/s/rows", 429, "Retry-After: 1\r\n",
         PROBLEM("slow down")},
        {"POST", "/api/v1/workspaces/demo/datastores/s/rows", 202, JSON, "{\"received\":1,\"rejected\":0}"},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("ingest s - --format json", no_config, fake_server_url(s), "[{}]");
    assert_int_equal(r.code, 0);
    program_result_release(&r);
    fake_server_stop(s);
    assert_int_equal(fake_server_count(s), 2);
    const char *first = strstr(fake_server_request(s, 0)->head.data, "Idempotency-Key: ");
    assert_non_null(first);
    char key[64] = "";
    memcpy(key, first, 53);
    assert_non_null(strstr(fake_server_request(s, 1)->head.data, key)); /* the same key: taken once */
    fake_server_free(s);
}

static void deleting_needs_the_name_and_its_etag(void **state)
{
    (void)state;
    static const fake_answer answers[] = {
        {"GET", "/api/v1/workspaces/w", 200, "ETag: \"7\"\r\n", "{\"key\":\"w\"}"},
        {"DELETE", "/api/v1/workspaces/w", 204, "", ""},
        {0},
    };
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("workspace delete w --confirm v", no_config, fake_server_url(s), NULL);
    assert_int_equal(r.code, 7);
    assert_non_null(strstr(r.err.data, "--confirm w"));
    program_result_release(&r);
    r = program_run("workspace delete w --confirm w", no_config, fake_server_url(s), NULL);
    assert_int_equal(r.code, 0);
    program_result_release(&r);
    fake_server_stop(s);
    assert_int_equal(fake_server_count(s), 2);
    assert_non_null(strstr(fake_server_request(s, 1)->head.data, "If-Match: \"7\""));
    fake_server_free(s);
}

static void secrets_come_by_standard_input(void **state)
{
    (void)state;
    static const fake_answer answers[] = {{"PUT", "/api/v1/workspaces/demo/secrets/mqtt", 204, "", ""}, {0}};
    fake_server *s = fake_server_start(answers);
    program_result r = program_run("secret set mqtt --debug", no_config, fake_server_url(s), "tops3cret\n");
    assert_int_equal(r.code, 0);
    assert_null(strstr(r.err.data, "tops3cret"));
    program_result_release(&r);
    r = program_run("secret set mqtt", no_config, fake_server_url(s), "\n");
    assert_int_equal(r.code, 7);
    program_result_release(&r);
    fake_server_stop(s);
    assert_string_equal(fake_server_request(s, 0)->body.data, "{\"value\":\"tops3cret\"}");
    fake_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_and_errors),
        cmocka_unit_test(errors_say_what_why_and_what_to_try),
        cmocka_unit_test(nobody_there_is_8),
        cmocka_unit_test(lists_follow_their_pages),
        cmocka_unit_test(queries_send_parameters_as_text),
        cmocka_unit_test(ingest_counts_and_shows_rejects),
        cmocka_unit_test(jobs_are_followed_to_their_end),
        cmocka_unit_test(a_busy_server_is_asked_again),
        cmocka_unit_test(deleting_needs_the_name_and_its_etag),
        cmocka_unit_test(secrets_come_by_standard_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
