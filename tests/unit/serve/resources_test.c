/* The resources that need no database, over sockets. */
#include "api_fixture.h"

#include "serve/access.h"
#include "serve/document.h"
#include "serve/verdict.h"
#include "serve/workspace_form.h"

#define GOOD "psk_0123456789ABCDEFGHJKMNPQRS"
#define KEY "Authorization: Bearer " GOOD "\r\n"
#define WS "/api/v1/workspaces/plant-a"
#define ROWS WS "/datastores/readings/rows"

static const char template_yaml[] =
    "apiVersion: penstock/v1\nkind: Template\n"
    "metadata: {key: small, version: 1.0.0, title: Small}\n"
    "datastores:\n"
    "  readings:\n"
    "    title: \"Readings <&\\\"\"\n"
    "    schema:\n"
    "      type: object\n"
    "      properties:\n"
    "        at: {type: string, format: date-time}\n"
    "        device: {type: string, maxLength: 20}\n"
    "        n: {type: integer}\n"
    "        v: {type: number}\n"
    "      required: [at, device]\n"
    "      additionalProperties: false\n"
    "    time: at\n"
    "    entity: [device]\n"
    "    accept: {past: any}\n"
    "metrics:\n"
    "  pressure:\n"
    "    unit: bar\n"
    "    params: {from: {type: timestamp, default: now-1h}, device: {type: string, default: a}}\n"
    "    sql: SELECT at, v FROM datastore:readings WHERE at >= :from AND device = :device\n";

static status_class verify(void *self, const char *key, principal *who, status *st)
{
    (void)self;
    if (strcmp(key, GOOD) != 0)
        return status_set(st, STATUS_DENIED, "no such key");
    *who = (principal){.kind = "key", .id = "key_good", .n_scopes = 1, .scopes = {{.verbs = VERB_ALL}}};
    return STATUS_OK;
}

static int setup(void **state)
{
    (void)state;
    return start_plant(template_yaml, KEY, verify);
}

/* ---- rows in ---- */

#define GOOD_ROW "{\"at\":\"2026-01-02T03:04:05Z\",\"device\":\"a\",\"n\":1,\"v\":2.5}"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

static void rows_are_taken_in_three_formats(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(
        ask("POST " ROWS, "Content-Type: application/json\r\n", "[" GOOD_ROW "," GOOD_ROW "]", &out), 202);
    assert_string_equal(raw_body(&out), "{\"received\":2,\"accepted\":2,\"rejected\":0,\"errors\":[]}\n");
    assert_int_equal(ask("POST " ROWS, NDJSON, GOOD_ROW "\n" GOOD_ROW "\n" GOOD_ROW, &out), 202);
    assert_string_equal(raw_body(&out), "{\"received\":3,\"accepted\":3,\"rejected\":0,\"errors\":[]}\n");
    assert_int_equal(ask("POST " ROWS, "Content-Type: text/csv; charset=utf-8\r\n",
                         "at,device,v\n2026-01-02T03:04:05Z,b,7\n", &out),
                     202);
    assert_string_equal(raw_body(&out), "{\"received\":1,\"accepted\":1,\"rejected\":0,\"errors\":[]}\n");
    assert_int_equal(ask("POST " ROWS "?format=csv", "", "at,device\n2026-01-02T03:04:05Z,b\n", &out), 202);
    assert_int_equal(journal_backlog_get(f.journal, 7, "readings").rows, 7);
    text_free(&out);
}

static void each_row_is_judged_by_itself(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(
        ask("POST " ROWS, NDJSON,
            GOOD_ROW "\n{\"at\":\"2026-01-02T03:04:05Z\",\"device\":\"a\",\"n\":\"x\"}\n{broken\n", &out),
        202);
    json_t *v = document_of(&out), *errors = json_object_get(v, "errors");
    assert_int_equal(number(v, "received"), 3);
    assert_int_equal(number(v, "accepted"), 1);
    assert_int_equal(number(v, "rejected"), 2);
    assert_int_equal(json_array_size(errors), 2);
    assert_int_equal(number(json_array_get(errors, 0), "row"), 1);
    assert_int_equal(number(json_array_get(errors, 0), "line"), 2);
    assert_string_equal(word(json_array_get(errors, 0), "pointer"), "/n");
    assert_string_equal(word(json_array_get(errors, 0), "code"), "type");
    assert_string_equal(word(json_array_get(errors, 1), "code"), "json");
    json_decref(v);
    text_free(&out);
}

static void an_unreadable_body_is_refused_with_its_place(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("POST " ROWS, "", "[" GOOD_ROW ",\n {]", &out), 400);
    json_t *v = document_of(&out);
    assert_string_equal(word(json_array_get(json_object_get(v, "errors"), 0), "pointer"), "2:3");
    json_decref(v);
    assert_int_equal(journal_backlog_get(f.journal, 7, "readings").rows, 0);
    text_free(&out);
}

static void wrong_requests_are_told_why(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("POST " WS "/datastores/nothing/rows", NDJSON, GOOD_ROW, &out), 404);
    assert_non_null(strstr(out.data, "there is no datastore nothing"));
    assert_int_equal(ask("POST " ROWS "?format=xml", "", GOOD_ROW, &out), 400);
    assert_int_equal(ask("POST " ROWS "?wait=forever", NDJSON, GOOD_ROW, &out), 400);
    assert_int_equal(ask("POST " ROWS, NDJSON "Content-Encoding: br\r\n", GOOD_ROW, &out), 415);
    assert_int_equal(ask("POST " ROWS, NDJSON "Content-Encoding: gzip\r\n", GOOD_ROW, &out), 400);
    assert_int_equal(ask("POST " ROWS, "Content-Type: image/png\r\n", GOOD_ROW, &out), 415);
    directory_put(f.services.directory, &(directory_entry){7, "plant-a", "ws_01", true});
    assert_int_equal(ask("POST " ROWS, NDJSON, GOOD_ROW, &out), 409);
    assert_int_equal(ask("GET " ROWS, "", NULL, &out), 200); /* a paused one still answers */
    directory_remove(f.services.directory, 7);
    assert_int_equal(ask("POST " ROWS, NDJSON, GOOD_ROW, &out), 404);
    assert_int_equal(journal_backlog_get(f.journal, 7, NULL).rows, 0);
    text_free(&out);
}

static void gzip_is_taken_off(void **state)
{
    (void)state;
    /* printf '{"at":"2026-01-02T03:04:05Z","device":"a"}\n' | gzip -n */
    static const uint8_t zipped[] = {
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xab, 0x56, 0x4a, 0x2c, 0x51, 0xb2,
        0x52, 0x32, 0x32, 0x30, 0x32, 0xd3, 0x35, 0x30, 0xd4, 0x35, 0x30, 0x0a, 0x31, 0x30, 0xb6, 0x32,
        0x30, 0xb1, 0x32, 0x30, 0x8d, 0x52, 0xd2, 0x51, 0x4a, 0x49, 0x2d, 0xcb, 0x4c, 0x4e, 0x05, 0xca,
        0x27, 0x2a, 0xd5, 0x72, 0x01, 0x00, 0x9c, 0x4e, 0x31, 0xc7, 0x2b, 0x00, 0x00, 0x00};
    text out = {0};
    const char *head = NDJSON "Content-Encoding: gzip\r\n";
    assert_int_equal(ask_bytes("POST " ROWS, head, zipped, sizeof zipped - 1, &out), 400); /* cut off */
    assert_int_equal(journal_backlog_get(f.journal, 7, NULL).rows, 0);
    assert_int_equal(ask_bytes("POST " ROWS, head, zipped, sizeof zipped, &out), 202);
    assert_int_equal(journal_backlog_get(f.journal, 7, NULL).rows, 1);
    text_free(&out);
}

static void a_repeated_key_takes_nothing_twice(void **state)
{
    (void)state;
    text out = {0};
    const char *head = NDJSON "Idempotency-Key: one\r\n";
    assert_int_equal(ask("POST " ROWS, head, GOOD_ROW, &out), 202);
    assert_int_equal(ask("POST " ROWS, head, GOOD_ROW, &out), 202);
    assert_non_null(strstr(raw_body(&out), "\"repeated\":true"));
    assert_non_null(strstr(out.data, "Idempotency-Replayed: true"));
    assert_int_equal(journal_backlog_get(f.journal, 7, "readings").rows, 1);
    assert_int_equal(ask("POST " ROWS, head, GOOD_ROW "\n" GOOD_ROW, &out), 202); /* another body */
    assert_int_equal(journal_backlog_get(f.journal, 7, "readings").rows, 3);
    text_free(&out);
}

/* Plays the writer: settles what one request sent. */
static void *settle(void *arg)
{
    (void)arg;
    arena *a = arena_create(0);
    const journal_stream *streams;
    while (!journal_streams(f.journal, true, a, &streams))
        usleep(1000);
    const journal_record *records;
    size_t n;
    status st;
    if (!journal_read(f.journal, streams[0].id, 0, 1 << 20, a, &records, &n, &st))
        waiter_report(f.waiters, records[0].request_id, 1, 1, 0);
    arena_free(a);
    return NULL;
}

static void stored_is_answered_when_it_is(void **state)
{
    (void)state;
    text out = {0};
    pthread_t writer;
    pthread_create(&writer, NULL, settle, NULL);
    assert_int_equal(ask("POST " ROWS "?wait=stored", NDJSON, GOOD_ROW "\n" GOOD_ROW, &out), 200);
    assert_string_equal(raw_body(&out), "{\"received\":2,\"accepted\":2,\"rejected\":0,\"stored\":1,"
                                        "\"duplicate\":1,\"errors\":[]}\n");
    pthread_join(writer, NULL);
    assert_int_equal(ask("POST " ROWS "?wait=stored", "", "[]", &out), 200);
    text_free(&out);
}

static void a_verdict_says_whether_to_send_again(void **state)
{
    (void)state;
    intake_verdict late = {.received = 2, .accepted = 2},
                   stored = {.received = 2, .accepted = 2, .stored = true},
                   none = {.received = 2, .rejected = 2};
    assert_int_equal(verdict_status(&late, false), 202);
    assert_int_equal(verdict_status(&late, true), 202); /* kept, but not stored in time */
    assert_int_equal(verdict_status(&stored, true), 200);
    assert_int_equal(verdict_status(&none, true), 200); /* nothing to wait for */
    assert_int_equal(verdict_status(&none, false), 202);
    intake_verdict no = {.st = {.class = STATUS_LIMIT}};
    assert_int_equal(verdict_refusal_status(&no), 413); /* the body itself is beyond a limit */
    no.received = no.accepted = 5;
    assert_int_equal(verdict_refusal_status(&no), 429); /* the journal is full */
    no.st.class = STATUS_UNAVAILABLE;
    assert_int_equal(verdict_refusal_status(&no), 503);
    no.st.class = STATUS_INVALID;
    assert_int_equal(verdict_refusal_status(&no), 400);
}

/* ---- rows out ---- */

static void rows_come_in_pages(void **state)
{
    (void)state;
    text out = {0};
    char line[1024];
    assert_int_equal(ask("GET " ROWS "?limit=1", "", NULL, &out), 200);
    json_t *v = document_of(&out);
    char *columns = json_dumps(json_object_get(v, "columns"), JSON_COMPACT);
    assert_string_equal(columns,
                        "[{\"name\":\"device\",\"type\":\"text\"},{\"name\":\"n\",\"type\":\"integer\"}]");
    free(columns);
    snprintf(line, sizeof line, "GET " ROWS "?limit=1&int64=string&cursor=%s", word(v, "next"));
    json_decref(v);
    assert_int_equal(ask(line, "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "[\"b,\\\"\",\"9007199254740993\"]"));
    assert_non_null(strstr(raw_body(&out), "\"next\":null"));
    assert_int_equal(ask("GET " ROWS "?cursor=abc", "", NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?from=yesterday", "", NULL, &out), 400);
    assert_int_equal(ask("GET " ROWS "?from=1970-01-01T00:00:01Z", "", NULL, &out), 503);
    text_free(&out);
}

static void an_export_holds_every_page_once(void **state)
{
    (void)state;
    text out = {0};
    f.pages = 0;
    int fd = raw_connect(f.port);
    raw_say(fd, "GET " ROWS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept: text/csv\r\n" KEY "\r\n");
    assert_true(raw_read_all(fd, &out, 5000));
    close(fd);
    assert_int_equal(f.pages, 2);
    assert_non_null(strstr(out.data, "device,n\r\na,9007199254740993\r\n"));
    assert_non_null(strstr(out.data, "\"b,\"\"\",9007199254740993\r\n"));
    assert_null(strstr(strstr(out.data, "device,n") + 1, "device,n")); /* one header line */
    text_free(&out);
}

/* ---- stores and metrics ---- */

static void stores_are_listed_and_shown(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET " WS "/datastores", "", NULL, &out), 200);
    json_t *v = document_of(&out), *item = json_array_get(json_object_get(v, "items"), 0);
    assert_string_equal(word(item, "key"), "readings");
    assert_string_equal(word(item, "title"), "Readings <&\"");
    assert_string_equal(word(item, "newest"), "2026-01-02T03:04:05Z");
    assert_int_equal(number(item, "rows"), 12);
    assert_non_null(strstr(out.data, "\"age_seconds\":0.97,"));
    assert_true(json_is_null(json_object_get(v, "next")));
    json_decref(v);
    assert_int_equal(ask("GET " WS "/datastores?filter[state]=stale", "", NULL, &out), 200);
    assert_string_equal(raw_body(&out), "{\"items\":[],\"next\":null}\n");
    assert_int_equal(ask("GET " WS "/datastores/readings", "", NULL, &out), 200);
    v = document_of(&out);
    assert_int_equal(json_array_size(json_object_get(v, "columns")), 4);
    assert_string_equal(word(json_array_get(json_object_get(v, "columns"), 0), "type"), "timestamp");
    json_decref(v);
    assert_int_equal(ask("GET " WS "/featurestores", "", NULL, &out), 200);
    assert_int_equal(ask("GET " WS "/featurestores/readings", "", NULL, &out), 404);
    text_free(&out);
}

static void a_metric_runs_by_get_and_post(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("POST " WS "/metrics/pressure:run", "", "{\"params\":{\"device\":\"a\"}}", &out),
                     200);
    assert_string_equal(f.asked_params, "{\"device\":\"a\"}");
    json_t *v = document_of(&out);
    assert_string_equal(word(v, "metric"), "pressure");
    assert_string_equal(word(v, "unit"), "bar");
    assert_true(json_is_false(json_object_get(v, "truncated")));
    assert_int_equal(json_integer_value(json_array_get(json_array_get(json_object_get(v, "rows"), 0), 1)), 5);
    json_decref(v);
    assert_int_equal(ask("GET " WS "/metrics/pressure:run?from=now-24h&int64=string", "", NULL, &out), 200);
    assert_string_equal(f.asked_params, "{\"from\":\"now-24h\"}");
    assert_non_null(strstr(raw_body(&out), "[[\"a\",\"5\"]]"));
    assert_int_equal(ask("GET " WS "/metrics/pressure:run", "Accept: text/csv\r\n", NULL, &out), 200);
    assert_string_equal(raw_body(&out), "device,n\r\na,5\r\n");
    assert_int_equal(ask("POST " WS "/metrics/pressure:run", "", "{\"params\":{\"color\":\"x\"}}", &out),
                     422);
    assert_non_null(strstr(raw_body(&out), "\"pointer\":\"/params/color\""));
    assert_int_equal(ask("POST " WS "/metrics/pressure:run", "", "{\"params\":[]}", &out), 422);
    assert_int_equal(ask("POST " WS "/metrics/pressure:run", "", "{\"params\"", &out), 400);
    assert_int_equal(ask("POST " WS "/metrics/none:run", "", "{}", &out), 404);
    assert_int_equal(ask("GET " WS "/metrics/pressure", "", NULL, &out), 200);
    v = document_of(&out);
    assert_string_equal(word(json_array_get(json_object_get(v, "params"), 0), "type"), "timestamp");
    json_decref(v);
    text_free(&out);
}

static void objects_have_tags(void **state)
{
    (void)state;
    text out = {0};
    char head[128];
    assert_int_equal(ask("GET " WS "/metrics/pressure", "", NULL, &out), 200);
    const char *tag = strstr(out.data, "ETag: ") + 6;
    snprintf(head, sizeof head, "If-None-Match: %.*s\r\n", (int)strcspn(tag, "\r"), tag);
    assert_int_equal(ask("GET " WS "/metrics/pressure", head, NULL, &out), 304);
    text_free(&out);
}

static void the_documents_name_every_route(void **state)
{
    (void)state;
    text out = {0};
    assert_int_equal(ask("GET /openapi.json", "", NULL, &out), 200);
    json_t *v = document_of(&out), *paths = json_object_get(v, "paths");
    for (size_t i = 0; i < route_table_size(f.table); i++) {
        const route *row = route_table_at(f.table, i);
        if (row->flags & ROUTE_HIDDEN)
            continue;
        assert_non_null(json_object_get(paths, row->path));
        assert_true(row->response_schema || row->success == 204);
    }
    json_decref(v);
    text_free(&out);
}

static void a_source_backfills_until_it_meets_the_present(void **state)
{
    (void)state;
    assert_string_equal(connector_form_state("ok", 86400, 1), "backfilling");
    assert_string_equal(connector_form_state("ok", 5, 1), "live");
    assert_string_equal(connector_form_state("ok", 86400, 60), "live"); /* old data, all of it read */
    assert_string_equal(connector_form_state("ended", 86400, 1), "live");
    assert_string_equal(connector_form_state("down", 86400, 1), "down");
}

/* What is wrong in a scope must never allow more. */
static void scopes_are_read_strictly(void **state)
{
    (void)state;
    principal who = {.n_scopes = 0};
    json_t *one = access_scope_parse("read,write:datastore:*", 7);
    json_t *scopes =
        json_pack("[O,{s:s,s:[s]},{s:[s],s:i}]", one, "wid", "7", "verbs", "*", "verbs", "*", "reference", 5);
    access_scopes_read(scopes, &who);
    assert_int_equal(who.n_scopes, 1);
    assert_int_equal(who.scopes[0].wid, 7);
    assert_true(auth_permits(&who, VERB_WRITE, "datastore:d", 7));
    assert_false(auth_permits(&who, VERB_WRITE, "datastore:d", 8));
    assert_false(auth_permits(&who, VERB_DELETE, "datastore:d", 7));
    assert_false(auth_permits(&who, VERB_READ, "platform:keys", 0));
    assert_null(access_scope_parse(":datastore:d", 7));
    assert_null(access_scope_parse("read:", 7));
    json_decref(scopes);
    json_decref(one);
}

static void documents_keep_hostile_texts_and_short_numbers(void **state)
{
    (void)state;
    text out = {0};
    json_t *v = json_pack("{s:f,s:s,s:n,s:[b,i]}", "a\"b\n", 0.1, "c", "<\x01\xc3\xa9>", "d", "e", 1, -5);
    document_write(&out, v);
    assert_string_equal(out.data,
                        "{\"a\\\"b\\n\":0.1,\"c\":\"<\\u0001\xc3\xa9>\",\"d\":null,\"e\":[true,-5]}");
    json_t *again = json_loads(out.data, 0, NULL);
    assert_true(json_equal(v, again));
    json_decref(again);
    json_decref(v);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_are_taken_in_three_formats, setup, teardown),
        cmocka_unit_test_setup_teardown(each_row_is_judged_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unreadable_body_is_refused_with_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_requests_are_told_why, setup, teardown),
        cmocka_unit_test_setup_teardown(gzip_is_taken_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repeated_key_takes_nothing_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_is_answered_when_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_come_in_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(an_export_holds_every_page_once, setup, teardown),
        cmocka_unit_test_setup_teardown(stores_are_listed_and_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_metric_runs_by_get_and_post, setup, teardown),
        cmocka_unit_test_setup_teardown(objects_have_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(the_documents_name_every_route, setup, teardown),
        cmocka_unit_test(a_source_backfills_until_it_meets_the_present),
        cmocka_unit_test(scopes_are_read_strictly),
        cmocka_unit_test(a_verdict_says_whether_to_send_again),
        cmocka_unit_test(documents_keep_hostile_texts_and_short_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
