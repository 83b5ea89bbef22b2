/* What is remembered of a key: for how long, when it is asked for again, and what holds while nobody can
 * tell. */
#include "support/check.h"

#include "base/clock.h"
#include "serve/auth.h"

#define KEY "psk_0123456789abcdefghijklmnop"
enum { TTL_MS = 10000 };
#define SECOND INT64_C(1000000)

static void a_key_in_use_is_asked_for_again_in_time(void **state)
{
    (void)state;
    clock_fake clock;
    principal who = {.id = "key_1"}, got;
    clock_fake_use(&clock, 0);
    auth_cache *c = auth_cache_create(TTL_MS);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_UNKNOWN);
    auth_cache_put(c, KEY, &who);
    clock_fake_advance(&clock, 5 * SECOND);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN);
    assert_string_equal(got.id, "key_1");
    clock_fake_advance(&clock, 1);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN_ASK);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN); /* one asks, not all */
    auth_cache_put(c, KEY, &who);
    clock_fake_advance(&clock, 10 * SECOND - 1);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN_ASK);
    auth_cache_drop(c, KEY);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_UNKNOWN);
    auth_cache_free(c);
    clock_use(NULL);
}

static void a_key_that_nobody_used_is_forgotten(void **state)
{
    (void)state;
    clock_fake clock;
    principal who = {.id = "key_1"}, got;
    clock_fake_use(&clock, 0);
    auth_cache *c = auth_cache_create(TTL_MS);
    auth_cache_put(c, KEY, &who);
    clock_fake_advance(&clock, 10 * SECOND);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_UNKNOWN);
    auth_cache_free(c);
    clock_use(NULL);
}

static void a_known_key_holds_while_the_control_plane_is_away(void **state)
{
    (void)state;
    clock_fake clock;
    principal who = {.id = "key_1"}, got;
    clock_fake_use(&clock, 0);
    auth_cache *c = auth_cache_create(TTL_MS);
    assert_false(auth_cache_hold(c, KEY, &got)); /* never known */
    auth_cache_put(c, KEY, &who);
    clock_fake_advance(&clock, 6 * SECOND);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN_ASK);
    clock_fake_advance(&clock, 30 * SECOND); /* the question hangs */
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN);
    assert_true(auth_cache_hold(c, KEY, &got));
    assert_string_equal(got.id, "key_1");
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN);
    clock_fake_advance(&clock, AUTH_GRACE_MS * INT64_C(1000) - 36 * SECOND - 1);
    assert_true(auth_cache_hold(c, KEY, &got));
    clock_fake_advance(&clock, 1);
    assert_false(auth_cache_hold(c, KEY, &got));
    clock_fake_advance(&clock, 10 * SECOND);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_UNKNOWN);
    auth_cache_free(c);
    clock_use(NULL);
}

/* Out of a snapshot that was written 14 minutes ago: good for one more, however often it is asked for. */
static void a_key_out_of_a_snapshot_is_as_old_as_that(void **state)
{
    (void)state;
    clock_fake clock;
    principal who = {.id = "key_1", .age_us = 14 * 60 * SECOND}, got;
    clock_fake_use(&clock, 0);
    auth_cache *c = auth_cache_create(TTL_MS);
    auth_cache_put(c, KEY, &who);
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_KNOWN);
    clock_fake_advance(&clock, 60 * SECOND - 1);
    assert_true(auth_cache_hold(c, KEY, &got));
    clock_fake_advance(&clock, 1);
    assert_false(auth_cache_hold(c, KEY, &got));
    assert_int_equal(auth_cache_find(c, KEY, &got), AUTH_UNKNOWN);
    auth_cache_free(c);
    clock_use(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_in_use_is_asked_for_again_in_time),
        cmocka_unit_test(a_key_that_nobody_used_is_forgotten),
        cmocka_unit_test(a_known_key_holds_while_the_control_plane_is_away),
        cmocka_unit_test(a_key_out_of_a_snapshot_is_as_old_as_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
