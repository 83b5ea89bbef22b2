/* Payloads of every form to lines of NDJSON: what docs/decode.md says. */
#include "support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "flow/json_path.h"
#include "flow/reshape.h"
#include "schema/compile.h"
#include "schema/document.h"

#define RECEIVED 1774720799000000 /* 2026-03-28T17:59:59Z */

static const char store[] =
    "{'type':'object','properties':{'time':{'type':'string','format':'date-time'},"
    "'device':{'type':'string'},'value':{'type':['number','null']},'n':{'type':'integer'},"
    "'on':{'type':'boolean'},'raw':{'type':'object'},'site':{'type':'string'}}}";

static json_t *json_of(const char *s)
{
    status st;
    char *copy = strdup(s);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *v = document_parse(copy, strlen(copy), &st);
    if (!v)
        fail_msg("%s: %s", copy, st.text);
    free(copy);
    return v;
}

static row_plan *make_rows(void)
{
    status st;
    json_t *schema = json_of(store);
    row_plan *rows = row_plan_make(schema_compile(schema, NULL, &st), &st);
    json_decref(schema);
    assert_non_null(rows);
    return rows;
}

/* The rows, or "! code", with ' for ". */
static char *reshaped(const char *decode, const char *topic, const char *payload, size_t len)
{
    status st;
    row_plan *rows = make_rows();
    json_t *d = json_of(decode);
    reshape_plan *plan = reshape_plan_create(d, rows, &st);
    if (!plan)
        fail_msg("%s: %s", decode, st.text);
    reshaper *r = reshaper_create();
    reshape_payload from = {payload, len, topic, topic ? strlen(topic) : 0, RECEIVED};
    reshape_fault fault;
    text out = {0};
    if (!reshape_payload_rows(r, plan, &from, &out, &fault)) {
        assert_int_equal(out.len, 0);
        text_printf(&out, "! %s", fault.code);
    }
    for (size_t i = 0; i < out.len; i++)
        out.data[i] = (char)(out.data[i] == '"' ? '\'' : out.data[i]);
    reshaper_free(r);
    reshape_plan_free(plan);
    row_plan_free(rows);
    json_decref(d);
    return text_take(&out);
}

typedef struct example {
    const char *decode, *topic, *payload, *expected;
} example;

static void check_examples(const example *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *payload = strdup(e[i].payload);
        for (char *p = payload; *p; p++)
            *p = (char)(*p == '\'' ? '"' : *p);
        char *got = reshaped(e[i].decode, e[i].topic, payload, strlen(payload));
        if (strcmp(got, e[i].expected) != 0)
            fail_msg("%s\n%s\nexpected %s\n     got %s", e[i].decode, e[i].payload, e[i].expected, got);
        free(got);
        free(payload);
    }
}
#define CHECK(examples) check_examples(examples, sizeof(examples) / sizeof *(examples))

static void test_rows_without_a_path(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{}", NULL, "{'device':'a','value':1.50}", "{'device':'a','value':1.50}\n"},
        {"{}", NULL, "[{'n':1},{'n':2}]", "{'n':1}\n{'n':2}\n"},
        {"{}", NULL, "[]", ""},
        {"{}", NULL, " \n", ""},
        {"{}", NULL, "{}", "{}\n"},
        {"{}", NULL, "5", "5\n"}, /* decode says what is wrong with it */
        {"{}", NULL, "[[1,\n2]]", "[1, 2]\n"},
        {"{}", NULL, "{'n':1,'other':{'a':\n[1]}}", "{'n':1,'other':{'a': [1]}}\n"},
        {"{'keep_unmapped':true}", NULL, "{'n':1,'other':2}", "{'n':1}\n"},
        {"{'map':{'n':'count'}}", NULL, "[{'count':1,'n':7,'x':2}]", "{'n':1,'x':2}\n"},
        {"{'set':{'site':'north','n':3}}", NULL, "{'value':1}", "{'site':'north','n':3,'value':1}\n"},
        {"{}", NULL, "{'n':123456789012345678901234567890,'value':1e-400}",
         "{'n':123456789012345678901234567890,'value':1e-400}\n"},
    };
    CHECK(examples);
}

static void test_paths(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{'path':'$.data.items[*]','map':{'site':'$.data.site.id'}}", NULL,
         "{'data':{'site':{'id':'s1'},'items':[{'n':1},{'n':2}]}}",
         "{'site':'s1','n':1}\n{'site':'s1','n':2}\n"},
        {"{'path':'$.data[*]','map':{'time':{'from':'.[0]','time':'unix_ms'},'value':'.[1]'}}", NULL,
         "{'data':[[1000,1.5],[2000,null],[3000]]}",
         "{'time':1000,'value':1.5}\n{'time':2000,'value':null}\n{'time':3000}\n"},
        {"{'path':'$.series[*].points[*]','map':{'device':'$.series[*].tag','value':'.[1]','n':'.[0]'}}",
         NULL, "{'series':[{'tag':'a','points':[[1,10],[2,20]]},{'tag':'b'},{'tag':'c','points':[[3,30]]}]}",
         "{'device':'a','value':10,'n':1}\n{'device':'a','value':20,'n':2}\n{'device':'c','value':30,'n':3}"
         "\n"},
        {"{'path':'$.h.t[*]','map':{'n':'.','value':'$.h.v[*]'}}", NULL, "{'h':{'t':[1,2,3],'v':[10,20]}}",
         "{'n':1,'value':10}\n{'n':2,'value':20}\n{'n':3}\n"},
        {"{'path':'$[*]','map':{'device':'$[*]~','value':'.rpm'}}", NULL,
         "{'p7':{'rpm':1},'p\\u0038':{'rpm':2}}", "{'device':'p7','value':1}\n{'device':'p8','value':2}\n"},
        {"{'path':'$[*]','map':{'n':'$[*]~','value':'.'}}", NULL, "[5,6]",
         "{'n':0,'value':5}\n{'n':1,'value':6}\n"},
        {"{'path':'$.a[*]','map':{'value':'.','n':'$.b[*]'}}", NULL,
         "{'a':{'x':1,'y':2},'b':{'y':20,'x':10}}", "{'value':1,'n':10}\n{'value':2,'n':20}\n"},
        {"{'map':{'value':'.v[1].w'}}", NULL, "{'v':[0,{'w':4}],'n':1}", "{'value':4,'n':1}\n"},
        {"{'map':{'value':'$.v.w'}}", NULL, "{'v':{'w':4},'n':1}", "{'value':4,'n':1}\n"},
        {"{'path':'$.a','map':{'value':'$.a.v'}}", NULL, "{'a':{'v':1,'n':2}}", "{'value':1,'n':2}\n"},
        {"{'map':{'raw':'.','device':'.id'}}", NULL, "{'id':'x','n':1}",
         "{'raw':{'id':'x','n':1},'device':'x'}\n"},
        {"{'map':{'value':'a.b'}}", NULL, "{'a.b':1}", "{'value':1}\n"},
        {"{'path':'$.items[*]'}", NULL, "{'items':null}", ""},
        {"{'path':'$.items[*]'}", NULL, "{'items':[]}", ""},
    };
    CHECK(examples);
    static const char quoted[] = "{\"a.b c\":{\"d\":1}}";
    char *got = reshaped("{'map':{'value':'.[\\u0027a.b c\\u0027].d'}}", NULL, quoted, sizeof quoted - 1);
    assert_string_equal(got, "{'value':1}\n");
    free(got);
}

static void test_topics_and_the_moment(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{'map':{'site':'$topic[1]','device':'$topic[-1]','value':'.','time':'$received'}}",
         "plant/hall2/pump-7", "21.5",
         "{'site':'hall2','device':'pump-7','value':21.5,'time':'2026-03-28T17:59:59Z'}\n"},
        {"{'map':{'n':'$topic[1]','on':'$topic[2]','site':'$topic'}}", "unit/17/true/", "{'value':1}",
         "{'n':17,'on':true,'site':'unit/17/true/','value':1}\n"},
        {"{'map':{'site':'$topic[5]','device':'$topic[-9]'}}", "a/b", "{'n':1}", "{'n':1}\n"},
        {"{'map':{'site':'$topic'}}", NULL, "{'n':1}", "{'n':1}\n"},
        {"{'map':{'site':'$topic'}}", "\xff", "{'n':1}", "! topic"},
        {"{'map':{'site':'$meta.key','n':'$meta.offset','device':'$topic[-1]'}}",
         "a/b\x1foffset=12\x1fkey=k/1=2\x1fkey=again", "{'value':1}",
         "{'site':'k/1=2','n':12,'device':'b','value':1}\n"},
        {"{'map':{'site':'$meta.ke','device':'$meta.key.','on':'$meta.empty'}}",
         "a\x1fkey=1\x1f"
         "empty=",
         "{'n':1}", "{'on':null,'n':1}\n"},
        {"{'map':{'site':'$meta.header.x','device':'$topic'}}", "\x1fheader.x=7", "{'n':1}",
         "{'site':'7','device':'','n':1}\n"},
        {"{'map':{'site':'$meta.key'}}", NULL, "{'n':1}", "{'n':1}\n"},
    };
    CHECK(examples);
}

static void test_conversion(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{'map':{'value':{'from':'v','convert':true}}}", NULL, "[{'v':'21.5'},{'v':''},{'v':'x'},{'v':2}]",
         "{'value':21.5}\n{'value':null}\n{'value':'x'}\n{'value':2}\n"},
        {"{'map':{'device':{'convert':true},'on':{'convert':true}}}", NULL, "{'device':17,'on':'false'}",
         "{'device':'17','on':false}\n"},
        {"{'map':{'time':{'from':'t','time':'unix_s','convert':true}}}", NULL, "{'t':'1774720800'}",
         "{'time':1774720800}\n"},
    };
    CHECK(examples);
}

static void test_what_is_no_row(void **state)
{
    (void)state;
    static const example examples[] = {
        {"{'path':'$.items[*]'}", NULL, "{'error':'away'}", "! path"},
        {"{'path':'$.items[*]'}", NULL, "{'items':5}", "! path"},
        {"{'path':'$.items[*]'}", NULL, "{'items':[1],'items':[2]}", "! duplicate_key"},
        {"{}", NULL, "{'n':1", "! json"},
        {"{}", NULL, "{'n':1} x", "! json"},
        {"{}", NULL, "<html>", "! json"},
        {"{}", NULL, "{'n':01}", "! json"},
        {"{'map':{'n':'.a.b'}}", NULL, "{'a':{'b':1,'b':2}}", "{'n':1,'n':1}\n"}, /* decode refuses it */
    };
    CHECK(examples);
    char *got = reshaped("{}", NULL, "{\"n\":\"\xff\"}", 9);
    assert_string_equal(got, "! json");
    free(got);
}

static void test_limits(void **state)
{
    (void)state;
    text nested = {0};
    for (int depth = 64; depth <= 65; depth++) {
        text_clear(&nested);
        for (int i = 0; i < depth; i++)
            text_add_char(&nested, '[');
        for (int i = 0; i < depth; i++)
            text_add_char(&nested, ']');
        char *got = reshaped("{}", NULL, nested.data, nested.len);
        assert_int_equal(strcmp(got, "! too_long") == 0, depth == 65);
        free(got);
    }
    text_free(&nested);
    /* A megabyte that each of a hundred rows would carry. */
    text wide = {0};
    text_add(&wide, "{\"big\":\"");
    for (int i = 0; i < 1 << 20; i++)
        text_add_char(&wide, 'x');
    text_add(&wide, "\",\"items\":[1");
    for (int i = 0; i < 100; i++)
        text_add(&wide, ",2");
    text_add(&wide, "]}");
    char *got = reshaped("{'path':'$.items[*]','map':{'site':'$.big','n':'.'}}", NULL, wide.data, wide.len);
    assert_string_equal(got, "! too_long");
    free(got);
    text_free(&wide);
}

static void test_long_series_cost_a_step_a_row(void **state)
{
    (void)state;
    text body = {0};
    text_add(&body, "{\"t\":[0");
    for (int i = 1; i < 200000; i++)
        text_printf(&body, ",%d", i);
    text_add(&body, "],\"v\":[0");
    for (int i = 1; i < 200000; i++)
        text_printf(&body, ",%d", i * 2);
    text_add(&body, "]}");
    char *got = reshaped("{'path':'$.t[*]','map':{'n':'.','value':'$.v[*]'}}", NULL, body.data, body.len);
    assert_non_null(strstr(got, "{'n':199999,'value':399998}\n")); /* quadratic, this takes minutes */
    free(got);
    text_free(&body);
}

static void test_bad_plans(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{'path':'items'}",
        "{'path':'.items'}",
        "{'path':'$.items[*]~'}",
        "{'path':'$.'}",
        "{'path':'$.a[x]'}",
        "{'path':'$.a[-1]'}",
        "{'path':'$[*][*][*][*][*]'}",
        "{'map':{'nothing':'a'}}",
        "{'map':{'n':'$meta.'}}",
        "{'map':{'n':'$topic[a]'}}",
        "{'map':{'n':'$a'}}",
        "{'map':{'n':'$~'}}",
        "{'map':{'n':'$.a~b'}}",
        "{'path':'$.a[*]','map':{'n':'$.b[*].c[*]'}}",
        "{'map':{'time':{'from':'$received','time':'unix_s'}}}",
        "{'set':{'nothing':1}}",
        "{'set':{'n':1},'map':{'n':'a'}}",
    };
    row_plan *rows = make_rows();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        status st = {0};
        json_t *d = json_of(bad[i]);
        reshape_plan *plan = reshape_plan_create(d, rows, &st);
        if (plan)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(st.class, STATUS_INVALID);
        assert_true(st.text[0] != '\0');
        json_decref(d);
    }
    row_plan_free(rows);
}

static void test_steps_of_a_path(void **state)
{
    (void)state;
    arena *a = arena_create(0);
    for (int n = JSON_PATH_STEPS_MAX - 1; n <= JSON_PATH_STEPS_MAX + 1; n++) {
        text path = {0};
        json_path p;
        status st;
        text_add_char(&path, '$');
        for (int i = 0; i < n; i++)
            text_add(&path, ".a");
        status_class class = json_path_parse(a, path.data, &p, &st);
        assert_int_equal(class, n <= JSON_PATH_STEPS_MAX ? STATUS_OK : STATUS_INVALID);
        text_free(&path);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_without_a_path),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_topics_and_the_moment),
        cmocka_unit_test(test_conversion),
        cmocka_unit_test(test_what_is_no_row),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_series_cost_a_step_a_row),
        cmocka_unit_test(test_bad_plans),
        cmocka_unit_test(test_steps_of_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
