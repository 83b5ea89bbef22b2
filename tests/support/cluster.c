/* One PostgreSQL for one test program. A small process waits for the end of the program, however it comes,
 * and removes the folder; the server itself is told to stop by the kernel when its parent dies. */
#include "support/cluster.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/disk.h"
#include "support/check.h"

static cluster running;
static bool started, refused;
static char folder[64];

/* Reads until the program's end closes the pipe, waits until the server is gone, cleans up. */
static void clean_up_afterwards(int fd, pid_t server)
{
    char byte;
    status st;
    int null = open("/dev/null", O_RDWR);
    signal(SIGINT, SIG_IGN);
    setsid();
    dup2(null, 0);
    dup2(null, 1); /* a test driver waits for the end of these */
    dup2(null, 2);
    while (read(fd, &byte, 1) > 0) {
    }
    for (int i = 0; i < 1000 && kill(server, 0) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    disk_remove_tree(folder, &st);
    _exit(0);
}

static void start_janitor(pid_t server)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[1]);
        clean_up_afterwards(ends[0], server);
    }
    close(ends[0]);
}

static void start(void)
{
    status st;
    char sockets[80];
    snprintf(folder, sizeof folder, "/tmp/penstock-pg-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(sockets, sizeof sockets, "%s/s", folder);
    cluster_options o = {.state = folder,
                         .user = getpwnam("postgres") ? "postgres" : NULL,
                         .sockets = sockets,
                         .spawn = &cluster_spawn_plain,
                         .ephemeral = true};
    if (cluster_start(&o, &running, &st) == STATUS_OK) {
        started = true;
        start_janitor(running.pid);
        return;
    }
    fprintf(stderr, "SKIPPED: no test cluster: %s (%s)\n", st.text, st.hint);
    refused = true;
    disk_remove_tree(folder, &st);
}

const cluster *test_cluster(void)
{
    if (!started && !refused)
        start();
    return started ? &running : NULL;
}

connection_options test_options(const char *database)
{
    const cluster *c = test_cluster();
    assert_non_null(c);
    return (connection_options){.host = c->sockets,
                                .port = c->port,
                                .database = database,
                                .user = c->superuser,
                                .password = c->password};
}

connection *test_connect_as(const char *database, const char *user, const char *password)
{
    connection_options o = test_options(database);
    connection *c;
    status st;
    o.user = user;
    o.password = password;
    if (connection_open(&o, &c, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    return c;
}

connection *test_connect(const char *database)
{
    const cluster *c = test_cluster();
    assert_non_null(c);
    return test_connect_as(database, c->superuser, c->password);
}

void test_database(const char *name)
{
    connection *c = test_connect("postgres");
    status st;
    char sql[256];
    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", name);
    if (connection_exec(c, sql, NULL, 0, NULL, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    snprintf(sql, sizeof sql, "CREATE DATABASE \"%s\" STRATEGY wal_log", name);
    if (connection_exec(c, sql, NULL, 0, NULL, &st) != STATUS_OK)
        fail_msg("%s", st.text);
    connection_close(c);
}

void test_cluster_stop(void)
{
    status st;
    if (started)
        cluster_stop(&running, 20000, &st);
    started = false;
}
