/* What plugins keep, on a real control plane: versions, expiry, walls between instances and workspaces, the
 * limit, and that nothing of it is readable in the table. */
#include "support/check.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "control/plugin_state.h"
#include "store/migrations.h"
#include "support/cluster.h"

static connection *db;
static secret_key *master;
static char *folder;
static const plugin_state_owner rig = {1, "connector:rig"}, other = {1, "connector:other"},
                                elsewhere = {2, "connector:rig"};

static int set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    assert_true(sodium_init() >= 0);
    folder = test_folder();
    OK(secret_key_open(folder, &master, &st));
    test_database("plugin_state");
    db = test_connect("plugin_state");
    OK(migrations_run(db, MIGRATION_CONTROL, NULL, &st));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    connection_close(db);
    secret_key_free(master);
    if (folder)
        test_folder_remove(folder);
    test_cluster_stop();
    return 0;
}

static status_class put(const plugin_state_owner *owner, const char *key, const char *value,
                        uint64_t expected, int64_t expires_us, uint64_t *version)
{
    status st;
    return plugin_state_put(db, master, owner, key, value, strlen(value), expected, expires_us, version, &st);
}

static void holds(const plugin_state_owner *owner, const char *key, const char *expected)
{
    status st;
    text value = {0};
    uint64_t version;
    OK(plugin_state_get(db, master, owner, key, &value, &version, &st));
    assert_int_equal(version != 0, expected != NULL);
    if (expected)
        assert_string_equal(text_or_empty(&value), expected);
    secret_wipe(&value);
}

static void versions_decide(void **state)
{
    (void)state;
    NEED_CLUSTER();
    status st;
    uint64_t first = 0, second = 0, third = 0;
    assert_int_equal(put(&rig, "a", "one", 0, 0, &first), STATUS_OK);
    assert_int_equal(put(&rig, "a", "two", 0, 0, &second), STATUS_CONFLICT);
    holds(&rig, "a", "one");
    assert_int_equal(put(&rig, "a", "two", first, 0, &second), STATUS_OK);
    assert_true(second > first);
    assert_int_equal(put(&rig, "a", "three", first, 0, &third), STATUS_CONFLICT);
    assert_int_equal(put(&rig, "a", "four", PLUGIN_STATE_ANY, 0, &third), STATUS_OK);
    holds(&rig, "a", "four");
    holds(&other, "a", NULL);
    holds(&elsewhere, "a", NULL);
    assert_int_equal(plugin_state_remove(db, &rig, "a", second, &st), STATUS_CONFLICT);
    OK(plugin_state_remove(db, &rig, "a", third, &st));
    assert_int_equal(plugin_state_remove(db, &rig, "a", third, &st), STATUS_CONFLICT);
    OK(plugin_state_remove(db, &rig, "a", PLUGIN_STATE_ANY, &st));
    OK(plugin_state_remove(db, &rig, "a", 0, &st));
    assert_int_equal(put(&rig, "a", "five", third, 0, &second), STATUS_CONFLICT);
}

static void what_expired_is_not_there(void **state)
{
    (void)state;
    NEED_CLUSTER();
    uint64_t old = 0, fresh = 0;
    assert_int_equal(put(&rig, "token", "stale", 0, 1000, &old), STATUS_OK);
    holds(&rig, "token", NULL);
    assert_int_equal(put(&rig, "token", "x", old, 0, &fresh), STATUS_CONFLICT);
    assert_int_equal(put(&rig, "token", "fresh", 0, 4102444800000000, &fresh), STATUS_OK);
    holds(&rig, "token", "fresh");
}

static void add_key(void *arg, const char *key, uint64_t version)
{
    assert_true(version > 0);
    text_printf(arg, "%s ", key);
}

static void keys_are_listed_and_limited(void **state)
{
    (void)state;
    NEED_CLUSTER();
    status st;
    uint64_t version;
    text keys = {0};
    OK(plugin_state_forget(db, &rig, &st));
    for (int i = 0; i <= PLUGIN_STATE_KEYS_MAX; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%04d", i);
        assert_int_equal(put(&rig, key, "", 0, i == 7 ? 1000 : 0, &version), STATUS_OK);
    } /* one of them had expired, and made room */
    assert_int_equal(put(&rig, "more", "", 0, 0, &version), STATUS_LIMIT);
    assert_int_equal(put(&rig, "k0000", "again", PLUGIN_STATE_ANY, 0, &version), STATUS_OK);
    assert_int_equal(put(&other, "k", "", 0, 0, &version), STATUS_OK);
    OK(plugin_state_list(db, &rig, "k000", "k0005", 3, add_key, &keys, &st));
    assert_string_equal(keys.data, "k0006 k0008 k0009 ");
    text_clear(&keys);
    OK(plugin_state_list(db, &rig, "k", NULL, 2, add_key, &keys, &st));
    assert_string_equal(keys.data, "k0000 k0001 ");
    text_clear(&keys);
    OK(plugin_state_forget(db, &rig, &st));
    OK(plugin_state_list(db, &rig, "", NULL, 2, add_key, &keys, &st));
    assert_string_equal(text_or_empty(&keys), "");
    holds(&other, "k", "");
    text_free(&keys);
}

static void values_are_sealed(void **state)
{
    (void)state;
    NEED_CLUSTER();
    status st;
    rows *r = NULL;
    uint64_t version;
    static const statement look = {
        "look", "SELECT count(*) FROM control.plugin_state WHERE position('visible'::bytea IN blob) > 0"};
    assert_int_equal(put(&rig, "t", "visible", 0, 0, &version), STATUS_OK);
    OK(connection_run(db, &look, NULL, 0, &r, &st));
    assert_int_equal(rows_integer(r, 0, 0), 0);
    rows_free(r);
    holds(&rig, "t", "visible");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_decide),
        cmocka_unit_test(what_expired_is_not_there),
        cmocka_unit_test(keys_are_listed_and_limited),
        cmocka_unit_test(values_are_sealed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
