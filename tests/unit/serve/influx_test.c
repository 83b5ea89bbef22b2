/* The InfluxDB routes: several stores in one body, what clients read of the answers, who may write where. */
#include "api_fixture.h"

#include <zlib.h>

#define GOOD "psk_0123456789ABCDEFGHJKMNPQRS"
#define LIMITED "psk_0123456789ABCDEFGHJKMNPQRT"
#define READER "psk_0123456789ABCDEFGHJKMNPQRV"
#define STRANGER "psk_0123456789ABCDEFGHJKMNPQRW"
#define AS(key) "Authorization: Token " key "\r\n"
#define PLAIN "Content-Type: text/plain; charset=utf-8\r\n"
#define WRITE "POST /api/v2/write?org=any&bucket=plant-a&precision=s"

static const char template_yaml[] =
    "apiVersion: penstock/v1\nkind: Template\n"
    "metadata: {key: small, version: 1.0.0, title: Small}\n"
    "datastores:\n"
    "  readings:\n"
    "    schema:\n"
    "      type: object\n"
    "      properties:\n"
    "        at: {type: string, format: date-time}\n"
    "        device: {type: string, maxLength: 20}\n"
    "        v: {type: number}\n"
    "      required: [at, device]\n"
    "      additionalProperties: false\n"
    "    time: at\n"
    "    entity: [device]\n"
    "    accept: {past: any}\n"
    "  cpu:\n"
    "    schema: {type: object, properties: {at: {type: string, format: date-time}}}\n"
    "    time: at\n"
    "    accept: {past: any}\n";

static status_class verify(void *self, const char *key, principal *who, status *st)
{
    (void)self;
    *who = (principal){.kind = "key", .id = "key_one", .n_scopes = 1, .scopes = {{.verbs = VERB_ALL}}};
    if (strcmp(key, LIMITED) == 0)
        who->scopes[0] = (scope){.wid = 7, .verbs = VERB_WRITE, .reference = "datastore:readings"};
    else if (strcmp(key, READER) == 0)
        who->scopes[0] = (scope){.wid = 7, .verbs = VERB_READ};
    else if (strcmp(key, STRANGER) == 0)
        who->scopes[0] = (scope){.wid = 8, .verbs = VERB_ALL};
    else if (strcmp(key, GOOD) != 0)
        return status_set(st, STATUS_DENIED, "no such key");
    return STATUS_OK;
}

static int setup(void **state)
{
    (void)state;
    return start_plant(template_yaml, "", verify);
}

static uint64_t waiting(const char *store)
{
    return journal_backlog_get(f.journal, 7, store).rows;
}

static void one_body_goes_to_several_stores(void **state)
{
    (void)state;
    text out = {0};
    uint64_t before = journal_stats_get(f.journal).submissions;
    assert_int_equal(ask(WRITE, AS(GOOD) PLAIN,
                         "readings,device=a v=1 1767225600\ncpu,host=x usage=5,note=\"a\nb\"\n"
                         "readings,device=b v=2 1767225601\n# and\ncpu usage=6i 1767225601\n",
                         &out),
                     204);
    assert_int_equal(waiting("readings"), 2);
    assert_int_equal(waiting("cpu"), 2);
    assert_int_equal(journal_stats_get(f.journal).submissions, before + 1); /* both or none */
    assert_int_equal(ask("POST /api/v2/write?bucket=ws_01", AS(GOOD), "cpu usage=7", &out), 204);
    assert_int_equal(
        ask(WRITE, AS(GOOD) "Content-Type: application/x-www-form-urlencoded\r\n", "cpu usage=8", &out), 204);
    assert_int_equal(waiting("cpu"), 4);
    text_free(&out);
}

static void bad_lines_are_reported_and_kept(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(
        ask(WRITE, AS(GOOD) PLAIN,
            "readings,device=a v=1 1767225600\n\nmemory used=1 1767225600\n"
            "readings,device=a v=oops 1767225600\ncpu usage=5\nreadings v=1 1767225600\n,x y=1\n",
            &out),
        400);
    json_t *o = document_of(&out), *verdict = json_object_get(o, "verdict"),
           *errors = json_object_get(verdict, "errors");
    assert_string_equal(word(o, "code"), "invalid");
    assert_int_equal(number(o, "line"), 3);
    assert_non_null(strstr(word(o, "message"), "partial write: 4 of 6 lines"));
    assert_int_equal(number(verdict, "accepted"), 2);
    static const char *const codes[] = {"unknown_store", "bad_value", "required", "missing_measurement"};
    static const int lines[] = {3, 4, 6, 7}, rows[] = {1, 2, 4, 5};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(word(json_array_get(errors, i), "code"), codes[i]);
        assert_int_equal(number(json_array_get(errors, i), "line"), lines[i]);
        assert_int_equal(number(json_array_get(errors, i), "row"), rows[i]);
    }
    json_decref(o);
    assert_int_equal(waiting("readings"), 3); /* one row and two that wait to be buried */
    assert_int_equal(waiting("cpu"), 1);
    assert_int_equal(waiting("_unknown"), 2);
    assert_int_equal(ask(WRITE, AS(GOOD) PLAIN, "memory used=1", &out), 400);
    assert_non_null(strstr(out.data, "nothing was written: 1 of 1"));
    text_free(&out);
}

static void a_key_writes_where_it_may(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask(WRITE, AS(LIMITED) PLAIN, "readings,device=a v=1\ncpu usage=5", &out), 400);
    assert_non_null(strstr(out.data, "unknown_store"));
    assert_int_equal(waiting("readings"), 1);
    assert_int_equal(waiting("cpu"), 0);
    assert_int_equal(ask(WRITE, AS(READER) PLAIN, "cpu usage=5", &out), 403);
    assert_non_null(strstr(out.data, "\"code\":\"forbidden\",\"message\":\"the key may not"));
    assert_int_equal(ask(WRITE, AS(STRANGER) PLAIN, "cpu usage=5", &out), 404);
    assert_int_equal(ask(WRITE, PLAIN, "cpu usage=5", &out), 401);
    assert_non_null(strstr(out.data, "\"code\":\"unauthorized\""));
    assert_non_null(strstr(out.data, "WWW-Authenticate: Basic ")); /* collectd waits for it */
    assert_int_equal(ask("POST /api/v2/write", AS(GOOD), "cpu usage=5", &out), 400);
    assert_int_equal(ask("POST /api/v2/write?bucket=none", AS(GOOD), "cpu usage=5", &out), 404);
    assert_int_equal(ask("POST /api/v2/write?bucket=plant-a&precision=h", AS(GOOD), "cpu usage=5", &out),
                     400);
    directory_put(f.services.directory, &(directory_entry){7, "plant-a", "ws_01", true});
    assert_int_equal(ask(WRITE, AS(GOOD), "cpu usage=5", &out), 409);
    assert_int_equal(waiting("cpu"), 0);
    text_free(&out);
}

static size_t zip(const char *s, uint8_t *out, size_t size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)s,
                  .avail_in = (uInt)strlen(s),
                  .next_out = out,
                  .avail_out = (uInt)size};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void what_holds_for_rows_holds_here(void **state)
{
    (void)state;
    text out = {0};
    uint8_t zipped[256];
    size_t len = zip("cpu usage=1\ncpu usage=2\n", zipped, sizeof zipped);
    assert_int_equal(ask_bytes(WRITE, AS(GOOD) PLAIN "Content-Encoding: gzip\r\n", zipped, len, &out), 204);
    assert_int_equal(waiting("cpu"), 2);
    assert_int_equal(ask_bytes(WRITE, AS(GOOD) PLAIN "Content-Encoding: gzip\r\n", zipped, len - 1, &out),
                     400);
    const char *once = AS(GOOD) PLAIN "Idempotency-Key: one\r\n";
    assert_int_equal(ask(WRITE, once, "cpu usage=3\nreadings,device=a v=1\n", &out), 204);
    assert_int_equal(ask(WRITE, once, "cpu usage=3\nreadings,device=a v=1\n", &out), 204);
    assert_non_null(strstr(out.data, "Idempotency-Replayed: true"));
    assert_int_equal(waiting("cpu"), 3);
    assert_int_equal(waiting("readings"), 1);
    f.services.request_rows = 2;
    assert_int_equal(ask(WRITE, AS(GOOD), "cpu usage=1\nnone a=1\n#", &out), 400);
    assert_int_equal(ask(WRITE, AS(GOOD), "cpu usage=1\nnone a=1\ncpu", &out), 413);
    assert_non_null(strstr(out.data, "\"code\":\"request too large\""));
    text_free(&out);
}

static void a_full_journal_takes_no_part_of_a_body(void **state)
{
    (void)state;
    text out = {0}, big = {0};
    int code = 204;
    text_add(&big, "readings,device=a v=1\n");
    for (int i = 0; i < 20000; i++)
        text_printf(&big, "cpu usage=%d,a=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n", i);
    for (int i = 0; i < 50 && code == 204; i++) {
        code = ask_bytes(WRITE, AS(GOOD) PLAIN, big.data, big.len, &out);
        assert_int_equal(waiting("cpu"), waiting("readings") * 20000);
    }
    assert_int_equal(code, 429);
    assert_non_null(strstr(out.data, "Retry-After: 5\r\n")); /* no writer runs here, nothing drains */
    assert_non_null(strstr(out.data, "\"limit\":{\"name\":\"limits.store_bytes\",\"value\":"));
    assert_non_null(strstr(out.data, "\"code\":\"too many requests\""));
    text_free(&out);
    text_free(&big);
}

static void clients_may_ask_for_signs_of_life(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET /ping", "", NULL, &out), 204);
    assert_non_null(strstr(out.data, "X-Influxdb-Version: "));
    assert_int_equal(ask("GET /health", "", NULL, &out), 200);
    assert_non_null(strstr(out.data, "\"status\":\"pass\""));
    text_free(&out);
}

static void a_row_route_takes_lines_of_its_own_store(void **state)
{
    (void)state;
    text out = {0};
    f.key_header = AS(GOOD);
    assert_int_equal(ask("POST /api/v1/workspaces/plant-a/datastores/readings/rows?precision=ms", PLAIN,
                         "readings,device=a v=1 1767225600000\ncpu usage=1\n", &out),
                     202);
    assert_non_null(strstr(out.data, "\"accepted\":1,\"rejected\":1"));
    assert_non_null(strstr(out.data, "unknown_store"));
    assert_int_equal(
        ask("POST /api/v1/workspaces/plant-a/datastores/cpu/rows?format=lp", "", "cpu usage=1\n", &out), 202);
    assert_int_equal(
        ask("POST /api/v1/workspaces/plant-a/datastores/cpu/rows?precision=h", PLAIN, "cpu a=1\n", &out),
        400);
    assert_int_equal(waiting("cpu"), 1);
    assert_int_equal(waiting("readings"), 2);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_body_goes_to_several_stores, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_lines_are_reported_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_writes_where_it_may, setup, teardown),
        cmocka_unit_test_setup_teardown(what_holds_for_rows_holds_here, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_journal_takes_no_part_of_a_body, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_may_ask_for_signs_of_life, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_route_takes_lines_of_its_own_store, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
