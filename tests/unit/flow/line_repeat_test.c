/* Line protocol is read with an eye on the line before: its keys are compared, not read, and tags that are
 * all the same are taken over with their values. Nobody may be able to tell. */
#include "decode_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"
#include "lines_apart.h"

static const char wide[] =
    "{'type':'object','required':['site'],'properties':{'time':{'type':'string','format':'date-time'},"
    "'site':{'type':'string','maxLength':12},'n':{'type':'integer','maximum':99},'x':{'type':'number'},"
    "'on':{'type':'boolean'},'id':{'type':'string','format':'uuid'},'day':{'type':'string','format':'date'},"
    "'at':{'type':'string','format':'date-time'},'any':{}}}";
enum { W_SITE = 1, W_N, W_X, W_ON, W_ID, W_DAY, W_AT, W_ANY, W_EXTRA };

static void tags_of_the_row_before_are_that_rows_values(void **state)
{
    (void)state;
    kit k = lines_open(wide, "time", (decode_limits){0});
#define TAGS                                                                                                 \
    ",site=\\ a\\,b,n=7,on=true,id=7d444840-9dc0-11d1-b245-5ffdce74fad2,day=2026-02-28,at=2026-01-01T00:00:" \
    "00Z,any=z"
    run(&k, "m" TAGS " x=1 1\n"
            "m" TAGS " x=2 2\n"
            "m" TAGS " n=8 3\n"    /* n twice: refused, and what it had is forgotten */
            "m" TAGS "  x=4 4\r\n" /* two blanks */
            "m" TAGS " x=5,n=8\n"  /* refused */
            "m" TAGS ",x=6 x=6\n"  /* refused: longer, and x twice */
            "m" TAGS "z x=7 7\n"   /* the last one goes on */
            "m" TAGS "z\\ x=8 8\n" /* the blank is escaped, so there are no fields: refused */
            "m" TAGS "\n"          /* refused */
            "m" TAGS " x=9 9");
    expect(&k, 5, 5);
    static const double x[] = {1, 2, 4, 7, 9};
    for (uint32_t i = 0; i < 5; i++) {
        expect_text(&k, W_SITE, i, " a,b");
        assert_int_equal(int_at(&k, W_N, i), 7);
        assert_true(number_at(&k, W_X, i) == x[i]);
        assert_true(bitmap_get(k.r.rows.columns[W_ON].values, i));
        assert_memory_equal((const uint8_t *)k.r.rows.columns[W_ID].values + (size_t)i * 16,
                            "\x7d\x44\x48\x40\x9d\xc0\x11\xd1\xb2\x45\x5f\xfd\xce\x74\xfa\xd2", 16);
        assert_int_equal(((const int32_t *)k.r.rows.columns[W_DAY].values)[i], 20512);
        assert_int_equal(int_at(&k, W_AT, i), 1767225600000000);
        expect_text(&k, W_ANY, i, i == 3 ? "\"zz\"" : "\"z\"");
        assert_true(null_at(&k, W_EXTRA, i));
    }
#undef TAGS
    kit_close(&k);
}

static void tags_that_are_no_columns_are_kept_in_every_row(void **state)
{
    (void)state;
    kit k = lines_open(wide, "time", (decode_limits){0});
    run(&k,
        "m,host=a,site=s x=1\nm,host=a,site=s x=2\nm,site=s x=3\nm,site=s x=4,host=\"b\"\nm,site=s x=5\n");
    expect(&k, 5, 0);
    for (uint32_t i = 0; i < 5; i++) {
        expect_text(&k, W_SITE, i, "s");
        if (i < 2)
            expect_text(&k, W_EXTRA, i, "{\"host\":\"a\"}");
        else if (i == 3)
            expect_text(&k, W_EXTRA, i, "{\"host\":\"b\"}");
        else
            assert_true(null_at(&k, W_EXTRA, i));
    }
    kit_close(&k);
}

static const char sink[] = "{'type':'object'}";
static const char not_flat[] =
    "{'type':'object','properties':{'n':{'type':'integer'},'x':{'type':'number'},'site':{'type':'string'}},"
    "'anyOf':[{'required':['n']},{'required':['site']}]}";
static const char deep[] =
    "{'type':'object','additionalProperties':false,'properties':{"
    "'n':{'type':'integer','not':{'const':5}},'x':{'type':'number','not':{'const':1.25}},"
    "'site':{'type':'string'},'on':{'type':'boolean'},'any':{}}}";

/* A word of a list; now and then with a byte that is another one. */
static void add_some(text *to, random_seeded *r, const char *const *words, size_t n)
{
    size_t from = to->len;
    text_add(to, words[random_seeded_next(r) % n]);
    if (random_seeded_next(r) % 24 == 0 && to->len > from)
        to->data[from + random_seeded_next(r) % (to->len - from)] =
            ",= \\x0.\xc3-"[random_seeded_next(r) % 9];
}
#define ADD_SOME(to, r, words) add_some(to, r, words, sizeof(words) / sizeof *(words))

static void add_line(text *to, random_seeded *r)
{
    static const char *const sites[] = {
        ",site=pump-001", ",site=pump-002",      ",site=a\\ b", ",site=\xc3\xa4", "",
        ",s=1",           ",site=longer-than-12"};
    static const char *const tags[] = {"",       "",     ",n=5",   ",n=100", ",on=true", ",day=2026-02-28",
                                       ",any=x", ",k=v", ",x=1.5", ",n=x"};
    static const char *const fields[] = {"x=1.25",
                                         "x=123456.789012",
                                         "x=12345678.9",
                                         "x=-0.5,on=t",
                                         "x=.5",
                                         "x=1e3",
                                         "x=7i",
                                         "n=5i",
                                         "n=5",
                                         "n=1.5",
                                         "on=True",
                                         "any=\"a\\\"b\"",
                                         "any=5u",
                                         "z=1,z=2",
                                         "x=1,x=2",
                                         "x=00.5",
                                         "x=1.",
                                         "x=12345678",
                                         "x=123456789012345678901"};
    static const char *const times[] = {
        "",          " 1774720799000000000", " 1", " -1", " 9223372036854775807", " 1x", "  5 ", " 12345678",
        " 123456789"};
    text_add(to, "m");
    ADD_SOME(to, r, sites);
    for (unsigned i = 0; i < 2; i++)
        ADD_SOME(to, r, tags);
    text_add_char(to, ' ');
    ADD_SOME(to, r, fields);
    for (unsigned i = 0; random_seeded_next(r) % 3 && i < 3; i++) {
        text_add_char(to, ',');
        ADD_SOME(to, r, fields);
    }
    ADD_SOME(to, r, times);
    text_add_char(to, '\n');
}

/* The quotes of a broken string may reach into the next line: such bodies say nothing here. */
static bool strings_are_whole(const text *body)
{
    unsigned quotes = 0;
    for (size_t i = 0; i < body->len; i++) {
        quotes += body->data[i] == '"' && (i == 0 || body->data[i - 1] != '\\');
        if (body->data[i] == '\n' && quotes % 2)
            return false;
    }
    return true;
}

static void a_body_says_what_its_lines_say_alone(void **state)
{
    static const char *const schemas[] = {wide, not_flat, deep, sink};
    (void)state;
    random_seeded r = {test_seed()};
    text body = {0};
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        kit k =
            lines_open(schemas[i], i == 0 ? "time" : NULL, (decode_limits){.members = 6, .text_bytes = 13});
        for (unsigned round = 0; round < 60; round++) {
            uint64_t line;
            text_clear(&body);
            for (unsigned n = 0; n < 40; n++) {
                size_t from = body.len;
                add_line(&body, &r);
                for (unsigned again = (unsigned)(random_seeded_next(&r) % 4); again > 1; again--) {
                    char *copy = strndup(body.data + from, body.len - from);
                    text_add(&body, copy);
                    free(copy);
                }
            }
            const char *differs =
                strings_are_whole(&body) ? lines_apart(k.plan, &k.context, body.data, body.len, &line) : NULL;
            if (differs)
                fail_msg("schema %zu, line %llu: %s\n%s", i, (unsigned long long)line, differs, body.data);
        }
        kit_close(&k);
    }
    text_free(&body);
}

static void limits_hold_for_what_is_taken_over(void **state)
{
    (void)state;
    kit k = lines_open(wide, "time", (decode_limits){.members = 3});
    run(&k, "m,site=a,n=1 x=1\nm,site=a,n=1 x=1\nm,site=a,n=1 on=t,x=1\nm,site=a,n=1 x=1\n");
    expect(&k, 3, 1);
    expect_reject(&k, 0, "too_many_members", "", 3, 19);
    kit_close(&k);
    k = lines_open(wide, "time", (decode_limits){.text_bytes = 3});
    run(&k, "m,n=1,site=abc x=1\nm,n=1 x=1\n");
    expect(&k, 0, 2);
    expect_reject(&k, 0, "too_long", "", 1, 7);
    kit_close(&k);
    k = lines_open(wide, "time", (decode_limits){.number_bytes = 4});
    run(&k, "m,site=a x=1234\nm,site=a x=1.34\nm,site=a x=1.345\nm,site=a x=123\n");
    expect(&k, 3, 1);
    expect_reject(&k, 0, "too_long", "", 3, 12);
    kit_close(&k);
}

static void a_number_that_no_double_holds(void **state)
{
    char body[400] = "m,site=a on=t,any=1,x=";
    size_t len = strlen(body);
    (void)state;
    memset(body + len, '9', 310);
    kit k = lines_open(wide, "time", (decode_limits){0});
    run(&k, body);
    expect(&k, 0, 1);
    expect_reject(&k, 0, "out_of_range", "", 1, 23);
    memcpy(body + len, "1.", 2); /* many digits, but a double */
    run(&k, body);
    expect(&k, 1, 0);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_of_the_row_before_are_that_rows_values),
        cmocka_unit_test(tags_that_are_no_columns_are_kept_in_every_row),
        cmocka_unit_test(a_body_says_what_its_lines_say_alone),
        cmocka_unit_test(limits_hold_for_what_is_taken_over),
        cmocka_unit_test(a_number_that_no_double_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
