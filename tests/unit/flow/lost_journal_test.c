/* A host that finds a journal of its own in the database that it no longer has. */
#include "support/check.h"

#include <string.h>

#include "flow/lost_journal.h"
#include "store/migrations.h"
#include "support/cluster.h"

static const char stack[] = "11111111-2222-4333-8444-555555555555";
static const uint8_t first[16] = "the first one", second[16] = "the second one", other[16] = "somebody else";

static unsigned lost(pool *data, const uint8_t incarnation[16], const char *host)
{
    status st;
    lost_journal found;
    const journal_owner owner = {.data = data, .incarnation = incarnation, .stack = stack, .host = host};
    if (lost_journal_look(&owner, &found, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return found.n;
}

static void an_earlier_journal_is_missed_until_its_loss_is_accepted(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        skip();
    test_database("lost");
    connection *c = test_connect("lost");
    assert_int_equal(migrations_run(c, MIGRATION_DATA, NULL, &st), STATUS_OK);
    connection_close(c);
    pool_options options = {.base = test_options("lost")};
    pool *data = pool_create(&options);
    assert_int_equal(lost(data, first, "one"), 0);
    assert_int_equal(lost(data, first, "one"), 0); /* started again */
    assert_int_equal(lost(data, other, "two"), 0); /* another host */
    assert_int_equal(lost(data, second, "one"), 1);
    const journal_owner owner = {.data = data, .incarnation = second, .stack = stack, .host = "one"};
    assert_int_equal(lost_journal_accept(&owner, &st), STATUS_OK);
    assert_int_equal(lost(data, second, "one"), 0);
    assert_int_equal(lost(data, first, "one"), 1); /* the old disk comes back: that is refused, too */
    pool_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_earlier_journal_is_missed_until_its_loss_is_accepted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
