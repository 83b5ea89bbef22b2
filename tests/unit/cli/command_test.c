/* The grammar: nouns, verbs, flags in any place, and what is said about mistakes. */
#include "support/check.h"

#include <string.h>

#include "command.h"

#define MAX_WORDS 32

static status st;

static status_class parse(invocation *inv, const char *line)
{
    static char words[1024];
    char *argv[MAX_WORDS + 1] = {(char *)"penstock"};
    int argc = 1;
    memset(inv, 0, sizeof *inv);
    memset(&st, 0, sizeof st);
    strcpy(words, line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return command_parse(argc, argv, inv, &st);
}

static void flags_stand_anywhere_after_the_verb(void **state)
{
    (void)state;
    invocation inv;
    static const char *const lines[] = {"query pressure -w demo --param a=1 -p b=2",
                                        "-w demo query --param=a=1 pressure -pb=2",
                                        "query -wdemo -p a=1 --param b=2 -- pressure"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(parse(&inv, lines[i]), STATUS_OK);
        assert_string_equal(inv.command->verb, "query");
        assert_string_equal(argument(&inv, 0), "pressure");
        assert_null(argument(&inv, 1));
        assert_string_equal(flag_text(&inv, "workspace", ""), "demo");
        assert_string_equal(flag_nth(&inv, "param", 0), "a=1");
        assert_string_equal(flag_nth(&inv, "param", 1), "b=2");
        assert_null(flag_nth(&inv, "param", 2));
        assert_false(flag_given(&inv, "yes"));
    }
}

static void the_last_of_a_flag_wins(void **state)
{
    (void)state;
    invocation inv;
    assert_int_equal(parse(&inv, "workspace ls -o csv -qy -o json"), STATUS_OK);
    assert_string_equal(inv.command->verb, "list");
    assert_string_equal(flag_text(&inv, "output", ""), "json");
    assert_true(flag_given(&inv, "quiet") && flag_given(&inv, "yes"));
}

static void mistakes_are_named(void **state)
{
    (void)state;
    invocation inv;
    static const struct {
        const char *line, *text, *hint;
    } cases[] = {
        {"templat list", "there is no command `templat`", "`penstock template`"},
        {"template lst", "there is no `penstock template lst`", "`penstock template list`"},
        {"template", "needs a verb", "penstock help template"},
        {"query", "an argument is missing: METRIC", "penstock query METRIC"},
        {"query a b", "`b` is one argument too many", ""},
        {"query a --wach 5s", "there is no flag --wach", "--watch"},
        {"query a --watch", "--watch needs a value", ""},
        {"query a --yes=1", "--yes takes no value", ""},
        {"query a -Z", "there is no flag -Z", ""},
        {"--watch 5s query a", "there is no flag --watch", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(&inv, cases[i].line), STATUS_INVALID);
        assert_non_null(strstr(st.text, cases[i].text));
        assert_non_null(strstr(st.hint, cases[i].hint));
    }
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    invocation inv;
    static const struct {
        const char *line;
        status_class class;
        long value;
    } cases[] = {
        {"workspace list", STATUS_OK, 5},
        {"workspace list --limit 1", STATUS_OK, 1},
        {"workspace list --limit 9", STATUS_OK, 9},
        {"workspace list --limit 0", STATUS_INVALID, 5},
        {"workspace list --limit 10", STATUS_INVALID, 5},
        {"workspace list --limit 3x", STATUS_INVALID, 5},
        {"workspace list --limit=", STATUS_INVALID, 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        long n = 5;
        assert_int_equal(parse(&inv, cases[i].line), STATUS_OK);
        assert_int_equal(flag_number(&inv, "limit", 1, 9, &n, &st), cases[i].class);
        assert_int_equal(n, cases[i].value);
    }
}

static void flags_have_a_limit(void **state)
{
    (void)state;
    char *argv[COMMAND_VALUES_MAX + 4] = {(char *)"penstock", (char *)"version"};
    invocation inv = {0};
    for (int i = 0; i < COMMAND_VALUES_MAX + 1; i++)
        argv[2 + i] = (char *)"-q";
    assert_int_equal(command_parse(2 + COMMAND_VALUES_MAX, argv, &inv, &st), STATUS_OK);
    memset(&inv, 0, sizeof inv);
    assert_int_equal(command_parse(3 + COMMAND_VALUES_MAX, argv, &inv, &st), STATUS_INVALID);
}

static void every_command_is_documented(void **state)
{
    (void)state;
    size_t n;
    const command *const *all = commands_all(&n);
    assert_true(n > 40);
    for (size_t i = 0; i < n; i++) {
        assert_non_null(all[i]->run);
        assert_true(strlen(all[i]->doc) > 8);
        assert_true(strlen(all[i]->examples) > 3);
        assert_true(all[i]->max_args >= all[i]->min_args);
        for (const flag *f = all[i]->flags; f && f->name; f++)
            assert_true(strlen(f->doc) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_stand_anywhere_after_the_verb),
        cmocka_unit_test(the_last_of_a_flag_wins),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(flags_have_a_limit),
        cmocka_unit_test(every_command_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
