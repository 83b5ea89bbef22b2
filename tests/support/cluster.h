/* A throw-away PostgreSQL for one test program: own temporary folder, Unix socket only, superuser without
 * ceremony. Started on first use; gone when the program ends, also when it is killed (it dies with its
 * parent). connection *c = test_connect("postgres");            as superuser test_database("mine"); a fresh
 * database of that name, migrations not applied When PostgreSQL is not installed test_cluster() gives NULL
 * after naming the reason; the caller then calls skip(). */
#ifndef PENSTOCK_TESTS_CLUSTER_H
#define PENSTOCK_TESTS_CLUSTER_H
#include "store/cluster.h"
#include "store/connection.h"

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
