/* The grammar: nouns, verbs, flags in any place, and what is said about mistakes. */
#include "support/check.h"

#include <stdio.h>
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

/* Whoever has learned -f from one command uses it with the next. */
static void a_file_is_an_argument_or_a_flag(void **state)
{
    (void)state;
    static const char *const commands[] = {"template validate", "template test", "template plan",
                                           "template apply",    "schema infer",  "schema validate"};
    invocation inv;
    char line[128];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        static const char *const forms[] = {"", "-f ", "--file="};
        for (size_t k = 0; k < 3; k++) {
            snprintf(line, sizeof line, "%s %sa.yaml", commands[i], forms[k]);
            assert_int_equal(parse(&inv, line), STATUS_OK);
            assert_int_equal(inv.n_args, 1);
            assert_string_equal(argument(&inv, 0), "a.yaml");
        }
    }
    assert_int_equal(parse(&inv, "ingest -f rows.csv readings"), STATUS_OK);
    assert_string_equal(argument(&inv, 0), "readings");
    assert_string_equal(argument(&inv, 1), "rows.csv");
    assert_int_equal(parse(&inv, "connector check -f a.yaml"), STATUS_OK); /* there it is something else */
    assert_int_equal(inv.n_args, 0);
}

static void verbs_have_other_names(void **state)
{
    (void)state;
    invocation inv;
    static const char *const lines[][2] = {{"workspace ls", "list"},         {"workspace rm a", "delete"},
                                           {"workspace remove a", "delete"}, {"context delete a", "remove"},
                                           {"key rm a", "revoke"},           {"key delete a", "revoke"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        assert_int_equal(parse(&inv, lines[i][0]), STATUS_OK);
        assert_string_equal(inv.command->verb, lines[i][1]);
    }
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
        {"query a -Z", "there is no flag -Z", "`penstock help query`"},
        {"--watch 5s query a", "there is no flag --watch", "`penstock help` lists"},
        {"template --zzzzzzzz", "there is no flag --zzzzzzzz", "`penstock help template` lists"},
        {"template plan", "an argument is missing: FILE|DIR", "penstock template plan FILE|DIR"},
        {"template test a.yaml -f b.yaml", "there is both `a.yaml` and -f b.yaml", "one of them"},
        {"ingest -f rows.csv", "an argument is missing: STORE", ""},
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
        cmocka_unit_test(a_file_is_an_argument_or_a_flag),
        cmocka_unit_test(verbs_have_other_names),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(flags_have_a_limit),
        cmocka_unit_test(every_command_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
