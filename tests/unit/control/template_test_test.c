/* Running a template's tests against a host that only remembers. */
#include "support/check.h"

#include <string.h>

#include "base/utc.h"
#include "config/yaml_tree.h"
#include "control/template_test.h"

typedef struct fake {
    json_t *rows; /* what every store is said to hold */
    int64_t now;
    unsigned puts, settles;
} fake;

static status_class set_now(void *self, int64_t now_us, status *st)
{
    (void)st;
    ((fake *)self)->now = now_us;
    return STATUS_OK;
}

static status_class put(void *self, const char *datastore, const json_t *rows, status *st)
{
    fake *f = self;
    assert_string_equal(datastore, "d");
    f->puts += (unsigned)json_array_size(rows);
    return json_array_size(rows) < 3 ? STATUS_OK : status_set(st, STATUS_INVALID, "rejected");
}

static status_class settle(void *self, status *st)
{
    (void)st;
    ((fake *)self)->settles++;
    return STATUS_OK;
}

static status_class read_rows(void *self, const object_reference *store, json_t **ret_rows, status *st)
{
    (void)st;
    assert_int_equal(store->class, CLASS_DATASTORE);
    *ret_rows = json_incref(((fake *)self)->rows);
    return STATUS_OK;
}

static json_t *yaml(const char *source)
{
    status st;
    yaml_tree *t = NULL;
    assert_int_equal(yaml_tree_parse("t", source, strlen(source), &t, &st), STATUS_OK);
    json_t *root = json_incref(yaml_tree_root(t));
    yaml_tree_free(t);
    return root;
}

static unsigned differ(const char *expected, const char *found)
{
    json_t *a = yaml(expected), *b = yaml(found);
    text out = {0};
    unsigned n = rows_differ("s", a, b, &out);
    text_free(&out);
    json_decref(a);
    json_decref(b);
    return n;
}

static void compares_rows(void **state)
{
    (void)state;
    assert_int_equal(differ("[{a: 1}]", "[{a: 1.0, b: 2}]"), 0);
    assert_int_equal(differ("[{a: 1}, {a: 2}]", "[{a: 2}, {a: 1}]"), 0);
    assert_int_equal(differ("[{a: 1}, {a: 1}]", "[{a: 1}]"), 1);
    assert_int_equal(differ("[{a: 1}]", "[{a: 1}, {a: 1}]"), 1);
    assert_int_equal(differ("[{a: 1}]", "[{a: 1.00001}]"), 2);
    assert_int_equal(differ("[{k: 1, a: 1}, {k: 2, a: 2}]", "[{k: 2, a: 3}, {k: 1, a: 1}]"), 1);
    assert_int_equal(differ("[{a: 0.1}]", "[{a: 0.10000000000001}]"), 0);
    assert_int_equal(differ("[{t: 2026-01-01T01:00:00+01:00}]", "[{t: 2026-01-01T00:00:00Z}]"), 0);
    assert_int_equal(differ("[{a: null}]", "[{b: 1}]"), 0);
    assert_int_equal(differ("[{a: x}]", "[{b: 1}]"), 2);
    assert_int_equal(differ("[]", "[]"), 0);
}

static const char source[] =
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: t, version: 1.0.0}\n"
    "datastores: {d: {schema: {type: object, required: [time], properties: {time: {type: string, format: "
    "date-time}}}, "
    "time: time}}\n"
    "tests:\n  good: {given: {datastore:d: [{time: 2026-01-02T00:00:00Z}, {time: 2026-01-01T00:00:00Z}]}, "
    "expect: "
    "{datastore:d: [{n: 1}]}}\n"
    "  bad: {given: {datastore:d: [{time: 2026-01-02T00:00:00Z}]}, expect: {datastore:d: [{n: 2}]}}\n"
    "  rejected: {given: {datastore:d: [{}, {}, {}]}, expect: {datastore:d: []}}\n";

static void runs_tests(void **state)
{
    (void)state;
    status st;
    text out = {0};
    const definition *d = NULL;
    json_t *body = yaml(source);
    fake f = {.rows = yaml("[{n: 1}]")};
    const template_test_host host = {&f, set_now, put, settle, read_rows};
    assert_int_equal(definition_make(&(definition_source){.template_body = body}, &d, &st), STATUS_OK);
    assert_int_equal(template_test_run(d, "good", &host, &out, &st), STATUS_OK);
    char now[UTC_TEXT_SIZE];
    utc_format(f.now, now);
    assert_string_equal(now, "2026-01-02T00:00:00Z");
    assert_int_equal(f.puts, 2);
    assert_int_equal(f.settles, 1);
    assert_int_equal(out.len, 0);
    assert_int_equal(template_test_run(d, "bad", &host, &out, &st), STATUS_INVALID);
    assert_string_equal(out.data, "datastore:d: expected and not found {\"n\":2}\n"
                                  "datastore:d: found and not expected {\"n\":1}\n");
    assert_int_equal(template_test_run(d, "rejected", &host, &out, &st), STATUS_INVALID);
    assert_int_equal(f.settles, 2);
    assert_int_equal(template_test_run(d, "none", &host, &out, &st), STATUS_NOT_FOUND);
    text_free(&out);
    json_decref(f.rows);
    json_decref(body);
    definition_release(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(compares_rows), cmocka_unit_test(runs_tests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
