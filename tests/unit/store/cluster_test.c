/* The private cluster: made, adopted, started again, stopped, refused. */
#include "support/check.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "store/cluster.h"
#include "store/connection.h"
#include "support/cluster.h"

static cluster_options options_in(const char *folder, char *sockets)
{
    snprintf(sockets, 128, "%s/s", folder);
    return (cluster_options){.state = folder,
                             .user = getpwnam("postgres") ? "postgres" : NULL,
                             .sockets = sockets,
                             .memory_bytes = 512u << 20,
                             .spawn = &cluster_spawn_plain};
}

static int64_t ask(const cluster *c, const char *sql, char *out)
{
    connection_options o = {.host = c->sockets,
                            .port = c->port,
                            .database = "postgres",
                            .user = c->superuser,
                            .password = c->password};
    connection *conn;
    rows *r;
    status st;
    OK(connection_open(&o, &conn, &st));
    OK(connection_exec(conn, sql, NULL, 0, &r, &st));
    snprintf(out, 64, "%s", rows_text(r, 0, 0));
    rows_free(r);
    connection_close(conn);
    return 0;
}

/* Without ptrace tricks: the postmaster is killed the hard way and must recover at the next start. */
static void a_cluster_lives(void **state)
{
    (void)state;
    status st;
    cluster c, again;
    char sockets[128], got[64], path[256];
    char *folder = test_folder();
    cluster_options o = options_in(folder, sockets);
    status_class made = cluster_start(&o, &c, &st);
    if (made == STATUS_UNAVAILABLE) {
        fprintf(stderr, "SKIPPED: %s\n", st.text);
        test_folder_remove(folder);
        skip();
    }
    OK(made);
    assert_true(c.created && !c.adopted);
    ask(&c, "SHOW data_checksums", got);
    assert_string_equal(got, "on");
    ask(&c, "SHOW shared_buffers", got);
    assert_string_equal(got, "128MB");
    ask(&c, "SHOW listen_addresses", got);
    assert_string_equal(got, "");
    ask(&c, "SHOW lc_collate", got);
    assert_string_equal(got, "C.UTF-8");
    ask(&c, "SHOW autovacuum_analyze_threshold", got); /* small tables are left alone: docs/adr/0030 */
    assert_string_equal(got, "5000");
    ask(&c, "SHOW fsync", got);
    assert_string_equal(got, "on");
    struct stat s;
    snprintf(path, sizeof path, "%s/postgres.secret", folder);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    OK(cluster_start(&o, &again, &st));
    assert_true(again.adopted && !again.created);
    assert_int_equal(again.pid, c.pid);
    kill(c.pid, SIGKILL);
    waitpid(c.pid, NULL, 0);
    OK(cluster_start(&o, &again, &st));
    assert_true(!again.adopted && !again.created);
    assert_int_not_equal(again.pid, c.pid);
    OK(cluster_stop(&again, 20000, &st));
    pid_t pid;
    assert_false(cluster_running(&o, &pid));
    OK(cluster_stop(&again, 1000, &st)); /* already stopped */
    snprintf(path, sizeof path, "%s/postgres/PG_VERSION", folder);
    OK(disk_write(path, "99\n", 3, 0600, &st));
    assert_int_equal(cluster_start(&o, &again, &st), STATUS_UNSUPPORTED);
    assert_non_null(strstr(st.hint, "postgresql-99"));
    test_folder_remove(folder);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    status st;
    cluster c;
    char sockets[128];
    char *folder = test_folder();
    cluster_options o = options_in(folder, sockets);
    o.bin = "/nonexistent";
    assert_int_equal(cluster_start(&o, &c, &st), STATUS_UNAVAILABLE);
    assert_non_null(strstr(st.hint, "apt-get install"));
    o = options_in(folder, sockets);
    if (geteuid() == 0) {
        o.user = "no_such_user_here";
        assert_int_equal(cluster_start(&o, &c, &st), STATUS_UNAVAILABLE);
        assert_non_null(strstr(st.hint, "adduser"));
    }
    char at_limit[128];
    size_t room = CLUSTER_SOCKET_MAX - strlen("/.s.PGSQL.65535");
    memset(at_limit, 'x', sizeof at_limit);
    memcpy(at_limit, "/nonexistent/", 13);
    at_limit[room + 1] = '\0';
    o = options_in(folder, sockets);
    o.sockets = at_limit;
    assert_int_equal(cluster_start(&o, &c, &st), STATUS_LIMIT);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_cluster_lives),
                                       cmocka_unit_test(what_is_missing_is_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
