/* Small nouns of base/: status, text, names, ids, logs. */
#include "support/check.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "base/random.h"
#include "base/status.h"
#include "base/text.h"

static void status_cuts_at_utf8(void **state)
{
    (void)state;
    status st;
    char longer[600];
    memset(longer, 'x', sizeof longer);
    memcpy(longer + 446, "\xC3\xA9", 2);
    longer[599] = '\0';
    status_set(&st, STATUS_INVALID, "%s", longer);
    assert_int_equal(strlen(st.text), 446);
    assert_int_equal(status_wrap(&st, "outer"), STATUS_INVALID);
    assert_memory_equal(st.text, "outer: xxx", 10);
}

static void json_strings_cannot_break_out(void **state)
{
    (void)state;
    text t = {0};
    text_add_json_string(&t, "a\"\\\n\x01\xff\xC3\xA9", 8);
    assert_string_equal(t.data, "\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA9\"");
    text_clear(&t);
    text_add_json_number(&t, 0.1);
    assert_string_equal(t.data, "0.1");
    text_free(&t);
}

static void names(void **state)
{
    (void)state;
    assert_true(name_is_key("pump_metrics_10min"));
    assert_false(name_is_key("a__b"));
    assert_false(name_is_key("a_"));
    assert_false(name_is_key("1a"));
    assert_false(name_is_key(""));
    assert_true(name_is_key("a123456789012345678901234567890123456789"));
    assert_false(name_is_key("a1234567890123456789012345678901234567890"));
    assert_true(name_is_slug("pump-station"));
    static const char *const known[] = {"refresh", "retention", "schema"};
    assert_string_equal(name_suggest("refersh", known, 3), "refresh");
    assert_null(name_suggest("zzz", known, 3));
}

static void keys_are_made_of_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *key;
    } cases[] = {{"plant/Hall 2", "plant_hall_2"},
                 {"2nd floor", "nd_floor"},
                 {"__a--b__", "a_b"},
                 {"\xc3\x84rger", "rger"},
                 {"17", "none"},
                 {"", "none"},
                 {"a12345678901234567890123456789012345678 9", "a12345678901234567890123456789012345678"},
                 {"a1234567890123456789012345678901234567890", "a123456789012345678901234567890123456789"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key[NAME_KEY_MAX + 1];
        name_key_from(cases[i].name, strlen(cases[i].name), "none", key);
        assert_string_equal(key, cases[i].key);
        assert_true(name_is_key(key));
    }
}

static void ulids_are_ordered(void **state)
{
    (void)state;
    clock_fake fake;
    clock_fake_use(&fake, 1700000000000000);
    char last[27], next[27];
    ulid_make(last);
    for (int i = 0; i < 1000; i++) {
        ulid_make(next);
        assert_true(strcmp(last, next) < 0);
        memcpy(last, next, sizeof last);
    }
    assert_memory_equal(last, "01HF7YAT00", 10);
    clock_use(NULL);
}

static void logs_hide_secrets_and_cannot_be_forged(void **state)
{
    (void)state;
    int ends[2];
    char line[1024];
    assert_int_equal(pipe(ends), 0);
    log_setup(ends[1], LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    log_info("test", "hello\nlevel=error", LOG_TEXT("db_password", "hunter2"), LOG_NUMBER("n", 3));
    log_setup(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    ssize_t n = read(ends[0], line, sizeof line - 1);
    line[n > 0 ? n : 0] = '\0';
    assert_null(strstr(line, "hunter2"));
    assert_non_null(strstr(line, "db_password=***"));
    assert_non_null(strstr(line, "msg=\"hello\\nlevel=error\""));
    assert_non_null(strstr(line, " n=3\n"));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_cuts_at_utf8),
        cmocka_unit_test(json_strings_cannot_break_out),
        cmocka_unit_test(names),
        cmocka_unit_test(keys_are_made_of_names),
        cmocka_unit_test(ulids_are_ordered),
        cmocka_unit_test(logs_hide_secrets_and_cannot_be_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
