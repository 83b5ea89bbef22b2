/* What connectors of brokers share: facts beside a message, and when a broker is asked again. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "reading.h"

static facts f;

static void test_facts(void **state)
{
    (void)state;
    facts_begin(&f, "plant/p1", 8);
    facts_add(&f, "key", "p1", 2);
    facts_add_number(&f, "offset", -7);
    facts_add(&f, "header.site", "Z\xc3\xbcrich", 7);
    assert_string_equal(f.text, "plant/p1\x1fkey=p1\x1foffset=-7\x1fheader.site=Z\xc3\xbcrich");
    assert_int_equal(f.len, strlen(f.text));
}

/* Whatever a sender writes, it is no second fact. */
static void test_what_is_no_text(void **state)
{
    (void)state;
    facts_begin(&f, "a\x1fkey=b\xff", 8);
    facts_add(&f, "key", "a\x1fsite=b", 8);
    facts_add(&f, "bad=name", "x", 1);
    facts_add(&f, "bad\x1fname", "x", 1);
    assert_string_equal(f.text, "a?key=b?\x1fkey_hex=611f736974653d62");
    const char *const broken[] = {"\xc0\xaf",         "\xe0\x80\x80", "\xed\xa0\x80",
                                  "\xf4\x90\x80\x80", "\xc3",         "\x7f"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        facts_begin(&f, "", 0);
        facts_add(&f, "k", broken[i], strlen(broken[i]));
        assert_memory_equal(f.text, "\x1fk_hex=", 7);
    }
}

static void test_facts_that_do_not_fit_are_left_out(void **state)
{
    char *value = malloc(FACTS_MAX + 1);
    (void)state;
    memset(value, 'v', FACTS_MAX + 1);
    for (size_t len = FACTS_MAX - 1; len <= FACTS_MAX + 1; len++) {
        facts_begin(&f, value, len);
        assert_int_equal(f.len, len < FACTS_MAX ? len : FACTS_MAX);
        facts_begin(&f, "", 0);
        facts_add(&f, "k", value, len - 3); /* U+001F, the name and = */
        assert_int_equal(f.len, len <= FACTS_MAX ? len : 0);
        facts_add(&f, "l", "", 0);
        assert_int_equal(strlen(f.text), f.len);
    }
    free(value);
}

/* Twice as long each time, up to some seconds; what a person must mend is not asked for again by time. */
static void test_a_broker_is_asked_again_within_seconds(void **state)
{
    reading r = {0};
    pst_error error = {.struct_size = sizeof error};
    const uint32_t expected[] = {250, 500, 1000, 2000, 4000, 4000, 4000};
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(reading_failed(&r, i % 2 ? PST_E_TIMEOUT : PST_E_UNAVAILABLE, &error),
                         i % 2 ? PST_E_TIMEOUT : PST_E_UNAVAILABLE);
        assert_int_equal(error.retry_after_ms, expected[i]);
    }
    error.retry_after_ms = 0;
    assert_int_equal(reading_failed(&r, PST_E_CONFIG, &error), PST_E_CONFIG);
    assert_int_equal(reading_failed(&r, PST_OK, &error), PST_OK);
    assert_int_equal(error.retry_after_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_facts_that_do_not_fit_are_left_out),
        cmocka_unit_test(test_a_broker_is_asked_again_within_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
