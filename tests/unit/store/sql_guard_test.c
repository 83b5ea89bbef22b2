/* The first wall: what it refuses, what it lets through, and what it makes of it. */
#include "support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/sql_guard.h"

static arena *memory;

static int set_up(void **state)
{
    (void)state;
    memory = arena_create(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(memory);
    return 0;
}

/* datastore:events, featurestore:pump_10min exist; "live" is one that the host restricts. */
static status_class resolve(void *arg, const char *class, const char *key, sql_target *out, status *st)
{
    (void)arg;
    if (strcmp(key, "events") != 0 && strcmp(key, "pump_10min") != 0 && strcmp(key, "live") != 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no %s:%s", class, key);
    *out = strcmp(key, "live") == 0 ? (sql_target){NULL, "datastore:live"}
                                    : (sql_target){class, arena_printf(memory, "%s_wid7", key)};
    return STATUS_OK;
}

static const char *const params[] = {"pump", "from", "to"};
static const sql_guard_options options = {.resolve = resolve, .params = params, .n_params = 3};

static status_class check(const char *sql, const sql_statement **out, status *st)
{
    return sql_guard_check(memory, sql, strlen(sql), &options, out, st);
}

static void becomes(const char *sql, const char *want)
{
    const sql_statement *s;
    status st;
    if (check(sql, &s, &st) != STATUS_OK)
        fail_msg("%s: %s at %s", sql, st.text, st.where);
    if (strcmp(s->sql, want) != 0)
        fail_msg("%s\n  became %s\n  not    %s", sql, s->sql, want);
}

static void refused_at(const char *sql, const char *where)
{
    const sql_statement *s;
    status st;
    if (check(sql, &s, &st) == STATUS_OK)
        fail_msg("taken: %s", sql);
    if (strcmp(st.where, where) != 0)
        fail_msg("%s: %s at %s, not at %s", sql, st.text, st.where, where);
}

static void references_become_relations(void **state)
{
    (void)state;
    becomes("SELECT * FROM datastore:events", "SELECT * FROM datastore.events_wid7 events");
    becomes("SELECT e.a FROM datastore:events e JOIN featurestore:pump_10min AS f ON f.b=e.b",
            "SELECT e.a FROM datastore.events_wid7 e JOIN featurestore.pump_10min_wid7 f ON f.b = e.b");
    becomes("SELECT 1 FROM datastore:live", "SELECT 1 FROM \"datastore:live\" live");
    becomes("WITH x AS (SELECT 1 AS a) SELECT a FROM x", "WITH x AS (SELECT 1 AS a) SELECT a FROM x");
    becomes("SELECT 'datastore:events' AS t -- datastore:events", "SELECT 'datastore:events' AS t");
    becomes("SELECT a[1:2], b::text, c->>'d' FROM datastore:events",
            "SELECT a[1:2], b::text, c ->> 'd' FROM datastore.events_wid7 events");
}

static void parameters_become_numbers(void **state)
{
    (void)state;
    const sql_statement *s;
    status st;
    becomes("SELECT 1 WHERE a=:pump AND t >= :from AND t<:to AND b = :pump",
            "SELECT 1 WHERE a = $1 AND t >= $2 AND t < $3 AND b = $1");
    assert_int_equal(check("SELECT :to", &s, &st), STATUS_OK);
    assert_int_equal(s->n_params, 1);
    assert_string_equal(s->params[0], "to");
    assert_int_equal(check("SELECT :frm", &s, &st), STATUS_INVALID);
    assert_string_equal(st.where, "1:8");
    assert_non_null(strstr(st.hint, ":from"));
}

static void scopes_are_postgres_own(void **state)
{
    (void)state;
    becomes("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r",
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT n FROM r");
    becomes("WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a) SELECT n FROM b",
            "WITH a AS (SELECT 1 AS n), b AS (SELECT n FROM a) SELECT n FROM b");
    refused_at("WITH b AS (SELECT n FROM a), a AS (SELECT 1 AS n) SELECT n FROM b",
               "1:26");                                                  /* not yet in scope */
    refused_at("WITH r AS (SELECT n FROM r) SELECT n FROM r", "1:26");   /* a table of that name */
    refused_at("SELECT (WITH x AS (SELECT 1) SELECT 1) FROM x", "1:45"); /* out of scope again */
    becomes("WITH x AS (SELECT 1 AS a) SELECT (SELECT a FROM x)",
            "WITH x AS (SELECT 1 AS a) SELECT (SELECT a FROM x)");
    refused_at("WITH pg_class AS (SELECT 1) SELECT * FROM pg_catalog.pg_class", "1:43");
    refused_at("SELECT *\nFROM datastore:events e,\n  secrets", "3:3");
    refused_at("SELECT 'ü', x FROM t", "1:20");
}

static void nothing_else_gets_through(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "SELECT * FROM datastore:events FOR SHARE",
        "SELECT * FROM (SELECT * FROM datastore:events FOR UPDATE) q",
        "WITH d AS (UPDATE datastore:events SET a = 1 RETURNING a) SELECT * FROM d",
        "SELECT current_user",
        "SELECT session_user",
        "SELECT 'x'::regclass",
        "SELECT CAST('x' AS regproc)",
        "SELECT 1 OPERATOR(public.+) 2",
        "SELECT public.f(1)",
        "SELECT pg_catalog.pg_read_file('x')",
        "SELECT \"pg_read_file\"('x')",
        "SELECT * FROM pg_ls_dir('/') x",
        "SELECT * FROM ROWS FROM (pg_ls_dir('/'), generate_series(1, 2)) x",
        "SELECT xmlparse(DOCUMENT '<a/>')",
        "SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS b text)",
        "SELECT * FROM datastore:events TABLESAMPLE system(1)",
        "SELECT * FROM datastore:events WHERE CURRENT OF c",
        "SELECT 'a' COLLATE public.x",
        "SELECT $1",
        "SELECT datastore:events.pressure FROM datastore:events",
        "SELECT 1 ORDER BY 1 USING OPERATOR(public.<)",
        "SELECT datastore:Events",
        "SELECT * FROM datastore: events",
        "SELECT x.* FROM json_to_recordset('[]') AS x(a regclass)",
        "SELECT array_agg(a ORDER BY pg_sleep(1)) FROM datastore:events",
        "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM datastore:events",
        "SELECT 1 LIMIT pg_sleep(1)",
        "SELECT 1 GROUP BY set_config('a', 'b', true)",
        "SELECT * FROM datastore:events WINDOW w AS (ORDER BY pg_sleep(1))",
        "SELECT CASE WHEN true THEN pg_sleep(1) END",
        "VALUES (pg_sleep(1))",
        "PREPARE x AS SELECT 1",
        "DECLARE c CURSOR FOR SELECT 1",
        "CALL x()",
        "SELECT lo_get(1)",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT nextval('x'), currval('x')",
        "SELECT ctid, * FROM \"datastore:nothing\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const sql_statement *s;
        status st;
        if (check(bad[i], &s, &st) == STATUS_OK)
            fail_msg("taken: %s as %s", bad[i], s->sql);
        assert_true(st.where[0] != '\0');
    }
}

static void facts_are_told(void **state)
{
    (void)state;
    const sql_statement *s;
    status st;
    assert_int_equal(
        check("SELECT penstock.time_bucket('10m', ts) AS bucket, device, count(*), f.x::text, *, 1 FROM "
              "datastore:events, featurestore:pump_10min f, datastore:events g GROUP BY 1, 2",
              &s, &st),
        STATUS_OK);
    assert_int_equal(s->n_references, 2);
    assert_string_equal(s->references[1].key, "pump_10min");
    assert_true(s->is_aggregate);
    assert_false(s->uses_neighbours);
    assert_int_equal(s->n_columns, 6);
    assert_string_equal(s->columns[0], "bucket");
    assert_string_equal(s->columns[1], "device");
    assert_string_equal(s->columns[2], "count");
    assert_string_equal(s->columns[3], "x");
    assert_null(s->columns[4]);
    assert_int_equal(check("SELECT lag(a) OVER (ORDER BY b) FROM datastore:events", &s, &st), STATUS_OK);
    assert_true(s->uses_neighbours);
    assert_int_equal(check("SELECT a FROM (SELECT sum(a) AS a FROM datastore:events) q", &s, &st), STATUS_OK);
    assert_false(s->is_aggregate);
    const sql_reference *refs;
    uint32_t n;
    static const char any[] = "SELECT :x FROM inferencestore:gold, datastore:raw";
    assert_int_equal(sql_refs(memory, any, strlen(any), &refs, &n, &st), STATUS_OK);
    assert_int_equal(n, 2);
    assert_string_equal(refs[0].store_class, "inferencestore");
}

/* "a,b<time" of a statement that is seen to be the newest row of each; "" of any other. */
static void is_latest(const char *sql, const char *want)
{
    const sql_statement *s;
    status st;
    char got[200] = "";
    if (check(sql, &s, &st) != STATUS_OK)
        fail_msg("%s: %s at %s", sql, st.text, st.where);
    for (uint32_t i = 0; i < s->n_latest_by; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? "," : "", s->latest_by[i]);
    if (s->n_latest_by)
        snprintf(got + strlen(got), sizeof got - strlen(got), "<%s", s->latest_time);
    if (strcmp(got, want) != 0)
        fail_msg("%s\n  is the newest of '%s', not of '%s'", sql, got, want);
}

static void the_newest_row_of_each_is_recognised(void **state)
{
    (void)state;
    is_latest("SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, ts DESC", "d<ts");
    is_latest("SELECT DISTINCT ON (d) * FROM datastore:events ORDER BY d DESC, ts DESC NULLS LAST, v",
              "d<ts");
    is_latest(
        "SELECT DISTINCT ON (e.d, s) s, d, e.v AS value FROM datastore:events e ORDER BY s, e.d, e.ts DESC",
        "d,s<ts");
    static const char *const others[] = {
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, ts",          /* the oldest */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d",              /* any */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, s, ts DESC",  /* not by time */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, ts + 1 DESC", /* an expression */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY 1, 2 DESC",      /* by number */
        "SELECT DISTINCT d, ts FROM datastore:events ORDER BY d, ts DESC",           /* all */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events WHERE v > 1 ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, count(*) FROM datastore:events GROUP BY 1 ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, ts DESC LIMIT 3",
        "SELECT DISTINCT ON (d) d, v FROM datastore:events ORDER BY d, ts DESC OFFSET 1",
        "SELECT DISTINCT ON (d) d, lag(v) OVER (ORDER BY ts) FROM datastore:events ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, (SELECT max(v) FROM datastore:events) FROM datastore:events ORDER BY d, "
        "ts DESC",
        "SELECT DISTINCT ON (d) d, unnest(v) FROM datastore:events ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) v AS d FROM datastore:events ORDER BY d, ts DESC",     /* another d */
        "SELECT DISTINCT ON (d) d, v AS ts FROM datastore:events ORDER BY d, ts DESC", /* another ts */
        "SELECT DISTINCT ON (d) d, v FROM datastore:events AS e(ts, d, v) ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, v FROM datastore:events, featurestore:pump_10min ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, v FROM datastore:events JOIN datastore:live USING (d) ORDER BY d, ts DESC",
        "SELECT DISTINCT ON (d) d, v FROM (SELECT * FROM datastore:events) e ORDER BY d, ts DESC",
        "WITH e AS (SELECT * FROM datastore:events) SELECT DISTINCT ON (d) d, v FROM e ORDER BY d, ts DESC",
        "SELECT d, v FROM datastore:events UNION SELECT d, v FROM datastore:events",
        "SELECT d, v FROM datastore:events ORDER BY d, ts DESC",
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        is_latest(others[i], "");
}

/* `n` tokens: SELECT 1 + 1 + … */
static char *sum_of(unsigned tokens)
{
    text t = {0};
    text_add(&t, "SELECT 1");
    for (unsigned i = 2; i + 1 < tokens; i += 2)
        text_add(&t, "+1");
    if (tokens % 2)
        text_add(&t, ";");
    return text_take(&t);
}

static void limits_hold(void **state)
{
    (void)state;
    const sql_statement *s;
    status st;
    for (int by = -1; by <= 1; by++) {
        char *sql = sum_of((unsigned)(SQL_GUARD_TOKENS_MAX + by));
        assert_int_equal(check(sql, &s, &st), by <= 0 ? STATUS_OK : STATUS_LIMIT);
        free(sql);
    }
    for (int by = -1; by <= 1; by++) {
        size_t len = (size_t)(SQL_GUARD_BYTES_MAX + by);
        char *sql = malloc(len + 1);
        memset(sql, ' ', len);
        memcpy(sql, "SELECT 1", 8);
        assert_int_equal(sql_guard_check(memory, sql, len, &options, &s, &st),
                         by <= 0 ? STATUS_OK : STATUS_LIMIT);
        free(sql);
    }
}

/* Shapes that nest as deep as the token limit lets them: an answer, whichever, and no crash. */
static void deep_nesting_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *repeat, *middle, *end;
        unsigned tokens;
    } shapes[] = {{"SELECT ", "(", "1", ")", 2},
                  {"SELECT ", "NOT ", "true", "", 1},
                  {"SELECT ", "(SELECT ", "1", ")", 3},
                  {"SELECT ", "- ", "1", "", 1},
                  {"SELECT ", "CASE WHEN true THEN ", "1", " END", 5},
                  {"SELECT ", "ARRAY[", "1", "]", 3},
                  {"SELECT ", "abs(", "1", ")", 3},
                  {"SELECT * FROM ", "(SELECT * FROM ", "datastore:events", ") q", 6},
                  {"SELECT ", "coalesce(1, ", "1", ")", 5},
                  {"", "SELECT 1 UNION ", "SELECT 1", "", 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const sql_statement *s;
        status st;
        text t = {0};
        unsigned n = (SQL_GUARD_TOKENS_MAX - 10) / shapes[i].tokens;
        text_add(&t, shapes[i].begin);
        for (unsigned k = 0; k < n; k++)
            text_add(&t, shapes[i].repeat);
        text_add(&t, shapes[i].middle);
        for (unsigned k = 0; k < n; k++)
            text_add(&t, shapes[i].end);
        if (check(t.data, &s, &st) != STATUS_OK)
            assert_true(st.text[0] != '\0');
        text_free(&t);
    }
}

/* ---- the shared cases: {class:key} is their own notation ---- */

static char *without_braces(const char *sql)
{
    text t = {0};
    for (const char *p = sql; *p; p++) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            text_add_char(&t, *p);
            continue;
        }
        text_add_n(&t, p + 1, (size_t)(end - p) - 1);
        p = end;
    }
    return text_take(&t);
}

static void run_cases(const char *file, bool must_pass)
{
    const char *path = testdata(file);
    json_error_t error;
    size_t i;
    json_t *item;
    if (!path)
        skip();
    json_t *list = json_load_file(path, 0, &error);
    assert_non_null(list);
    assert_true(json_array_size(list) > 10);
    json_array_foreach(list, i, item)
    {
        const sql_statement *s;
        status st;
        char *sql = without_braces(json_string_value(json_object_get(item, "sql")));
        const char *id = json_string_value(json_object_get(item, "id"));
        bool passed = check(sql, &s, &st) == STATUS_OK;
        if (passed != must_pass)
            fail_msg("%s %s: %s", id, passed ? "taken" : st.text, sql);
        free(sql);
    }
    json_decref(list);
}

static void hostile_statements_are_refused(void **state)
{
    (void)state;
    run_cases("hostile/sql/must_reject.json", false);
}

static void honest_statements_are_taken(void **state)
{
    (void)state;
    run_cases("hostile/sql/must_run.json", true);
}

/* What is left in the caller's arena is the statement, not the tree it was made from. */
static void a_statement_is_small(void **state)
{
    (void)state;
    status st;
    const sql_statement *s;
    const char *sql = "SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f";
    arena *own = arena_create(1024);
    size_t before = arena_bytes(own);
    assert_int_equal(sql_guard_check(own, sql, strlen(sql), &options, &s, &st), STATUS_OK);
    assert_int_equal(s->n_columns, 6);
    assert_string_equal(s->columns[5], "f");
    assert_int_equal(arena_bytes(own), before);
    arena_free(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_become_relations),
        cmocka_unit_test(parameters_become_numbers),
        cmocka_unit_test(scopes_are_postgres_own),
        cmocka_unit_test(nothing_else_gets_through),
        cmocka_unit_test(facts_are_told),
        cmocka_unit_test(the_newest_row_of_each_is_recognised),
        cmocka_unit_test(a_statement_is_small),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(deep_nesting_is_safe),
        cmocka_unit_test(hostile_statements_are_refused),
        cmocka_unit_test(honest_statements_are_taken),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
