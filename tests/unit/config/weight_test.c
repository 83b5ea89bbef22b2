/* The setting `weights`: what is read, its bounds, what is refused and where. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/turns.h"
#include "config/weight.h"

static settings *with(const char *weights)
{
    char word[256];
    const char *argv[] = {word};
    const settings_source source = {1, argv, NULL, NULL};
    settings *s = NULL;
    status st;
    snprintf(word, sizeof word, "--weights=%s", weights);
    assert_int_equal(settings_load(&source, &s, &st), STATUS_OK);
    return s;
}

static void weights_are_read(void **state)
{
    (void)state;
    status st;
    settings *s = with("acme=3, trial=0.5,plant-7=1.25");
    assert_int_equal(weights_check(s, &st), STATUS_OK);
    assert_int_equal(weight_of(s, "acme"), 300);
    assert_int_equal(weight_of(s, "trial"), 50);
    assert_int_equal(weight_of(s, "plant-7"), 125);
    /* not named, or only the beginning of a name */
    assert_int_equal(weight_of(s, "other"), TURNS_WEIGHT_ONE);
    assert_int_equal(weight_of(s, "acm"), TURNS_WEIGHT_ONE);
    assert_int_equal(weight_of(s, "acme2"), TURNS_WEIGHT_ONE);
    settings_free(s);
}

static status_class check(const char *weights, status *st)
{
    settings *s = with(weights);
    status_class class = weights_check(s, st);
    settings_free(s);
    return class;
}

static void weights_have_bounds(void **state)
{
    (void)state;
    status st;
    assert_int_equal(check("a=0.01", &st), STATUS_OK);
    assert_int_equal(check("a=100", &st), STATUS_OK);
    assert_int_equal(check("a=0.009", &st), STATUS_INVALID);
    assert_int_equal(check("a=100.01", &st), STATUS_INVALID);
    assert_int_equal(check("a=0", &st), STATUS_INVALID);
    assert_int_equal(check("a=-1", &st), STATUS_INVALID);
    assert_int_equal(check("a=nan", &st), STATUS_INVALID);
    assert_int_equal(check("a=inf", &st), STATUS_INVALID);
}

static void what_is_no_weight_is_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {"acme",    "=3",     "acme=",   "acme=much",
                                        "acme=3x", "Acme=3", "ac me=3", "acme=3=4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char both[64];
        status st;
        snprintf(both, sizeof both, "good=2,%s", wrong[i]);
        assert_int_equal(check(both, &st), STATUS_INVALID);
        assert_non_null(strstr(st.text, wrong[i]));
        assert_string_equal(st.where, "--weights");
        assert_non_null(strstr(st.hint, "0.01"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_are_read),
                                       cmocka_unit_test(weights_have_bounds),
                                       cmocka_unit_test(what_is_no_weight_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
