/* A throw-away PostgreSQL for one test program: own temporary folder, Unix socket only, superuser without
 * ceremony. Started on first use; gone when the program ends, also when it is killed (it dies with its
 * parent).
 *
 *   connection *c = test_connect("postgres");  as superuser
 *   test_database("mine");                     a fresh database of that name, migrations not applied
 *
 * When PostgreSQL is not installed test_cluster() gives NULL after naming the reason; the caller then calls
 * skip(): NEED_CLUSTER(). */
#ifndef PENSTOCK_TESTS_CLUSTER_H
#define PENSTOCK_TESTS_CLUSTER_H
#include "store/cluster.h"
#include "store/connection.h"
#include "support/check.h"

#define NEED_CLUSTER()   \
    if (!test_cluster()) \
    skip()
/* Fails the test with what `st`, a status that the caller has, says. */
#define OK(call)                                                              \
    do {                                                                      \
        if ((call) != STATUS_OK)                                              \
            fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, st.where, st.text); \
    } while (0)

const cluster *test_cluster(void);
/* Fails the test when it cannot connect. user NULL = superuser. */
connection *test_connect(const char *database);
connection *test_connect_as(const char *database, const char *user, const char *password);
connection_options test_options(const char *database);
/* Drops and makes a database. */
void test_database(const char *name);
/* Ends the cluster now (otherwise at exit). */
void test_cluster_stop(void);
#endif
