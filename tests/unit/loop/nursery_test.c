#include "loop/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

static nursery *shared;

static int start(void **state)
{
    (void)state;
    status st;
    shared = nursery_start(&st);
    return shared ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    nursery_stop(shared);
    return 0;
}

static void spawn_shell(const char *script, nursery_request *more, nursery_child *child)
{
    status st;
    const char *argv[] = {"sh", "-c", script, NULL};
    nursery_request r = more ? *more : (nursery_request){0};
    r.program = "/bin/sh";
    r.argv = argv;
    status_class class = nursery_spawn(shared, &r, child, &st);
    if (class != STATUS_OK)
        print_error("%s\n", st.text);
    assert_int_equal(class, STATUS_OK);
    assert_true(child->pid > 0 && child->pidfd >= 0);
}

static nursery_exit wait_for(nursery_child *child)
{
    status st;
    nursery_exit how = {0};
    assert_int_equal(nursery_wait(shared, child, 10000, &how, &st), STATUS_OK);
    nursery_release(shared, child);
    return how;
}

static void a_child_gives_way_as_asked(void **state)
{
    (void)state;
    nursery_child child;
    nursery_request more = {.nice = 3};
    int own = getpriority(PRIO_PROCESS, 0), expected = own + 3 < 19 ? own + 3 : 19;
    spawn_shell("exit $(nice)", &more, &child);
    assert_int_equal(wait_for(&child).code, expected);
}

static void hands_back_exit_codes_and_signals(void **state)
{
    (void)state;
    nursery_child child;
    spawn_shell("exit 7", NULL, &child);
    nursery_exit how = wait_for(&child);
    assert_true(how.exited);
    assert_int_equal(how.code, 7);

    status st;
    spawn_shell("exec sleep 100", NULL, &child);
    assert_int_equal(nursery_wait(shared, &child, 10, &how, &st), STATUS_TIMEOUT);
    assert_int_equal(nursery_signal(shared, &child, SIGKILL), 0);
    how = wait_for(&child);
    assert_false(how.exited);
    assert_int_equal(how.code, SIGKILL);
}

static void passes_descriptors_environment_folder_and_limits(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    nursery_fd fds[] = {{ends[1], 1}, {ends[1], 5}};
    nursery_limit limits[] = {{RLIMIT_NOFILE, 33}};
    const char *env[] = {"COLOUR=green", NULL};
    nursery_request r = {
        .env = env, .folder = "/usr", .fds = fds, .n_fds = 2, .limits = limits, .n_limits = 1};
    nursery_child child;
    spawn_shell("echo \"$COLOUR $PWD $(ulimit -n)\" >&5; ls /proc/self/fd | tr '\\n' ' '", &r, &child);
    close(ends[1]);
    wait_for(&child);
    char seen[200] = {0};
    size_t len = 0;
    for (ssize_t got; (got = read(ends[0], seen + len, sizeof seen - 1 - len)) > 0;)
        len += (size_t)got;
    close(ends[0]);
    assert_string_equal(seen, "green /usr 33\n0 1 2 3 5 "); /* 3 is ls reading the folder */
}

static void names_what_failed(void **state)
{
    (void)state;
    status st;
    nursery_child child;
    nursery_request r = {.program = "/nowhere/at/all"};
    assert_int_equal(nursery_spawn(shared, &r, &child, &st), STATUS_NOT_FOUND);
    assert_non_null(strstr(st.text, "/nowhere/at/all: program: No such file"));
    r = (nursery_request){.program = "/bin/true", .user = "no-such-user-here"};
    assert_int_equal(nursery_spawn(shared, &r, &child, &st), STATUS_NOT_FOUND);
    assert_non_null(strstr(st.text, "user"));
    r = (nursery_request){.program = "/bin/true", .folder = "/nowhere"};
    assert_int_equal(nursery_spawn(shared, &r, &child, &st), STATUS_NOT_FOUND);
    assert_non_null(strstr(st.text, "folder"));
}

static status_class spawn_with_argument(size_t len)
{
    status st;
    char *long_one = malloc(len + 1);
    memset(long_one, 'x', len);
    long_one[len] = 0;
    const char *argv[] = {"true", long_one, NULL};
    nursery_request r = {.program = "/bin/true", .argv = argv};
    nursery_child child;
    status_class class = nursery_spawn(shared, &r, &child, &st);
    if (class == STATUS_OK)
        wait_for(&child);
    free(long_one);
    return class;
}

static void refuses_a_request_beyond_its_limit(void **state)
{
    (void)state;
    /* "/bin/true", "/", "", "true" and the argument, each with its NUL */
    size_t room = NURSERY_REQUEST_MAX - 10 - 2 - 1 - 5 - 1;
    assert_int_equal(spawn_with_argument(room - 1), STATUS_OK);
    assert_int_equal(spawn_with_argument(room), STATUS_OK);
    assert_int_equal(spawn_with_argument(room + 1), STATUS_INVALID);
}

static bool alive(pid_t pid)
{
    for (int i = 0; i < 200; i++) {
        char path[64], line[256] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *f = fopen(path, "r");
        bool dead = !f || !fgets(line, sizeof line, f) || strstr(line, ") Z");
        if (f)
            fclose(f);
        if (dead)
            return false;
        usleep(10000);
    }
    return true;
}

/* A process of its own plays the host: it starts both sorts of child, tells their pids and is killed. */
static void children_die_with_the_host_unless_they_outlive_it(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t host = fork();
    if (host == 0) {
        status st;
        shared = nursery_start(&st);
        nursery_child children[2];
        nursery_request lasting = {.outlive = true};
        spawn_shell("exec sleep 30", NULL, &children[0]);
        spawn_shell("exec sleep 30", &lasting, &children[1]);
        pid_t pids[2] = {children[0].pid, children[1].pid};
        ssize_t sent = write(ends[1], pids, sizeof pids);
        for (;;)
            pause();
        _exit(sent > 0);
    }
    pid_t pids[2] = {0};
    assert_int_equal(read(ends[0], pids, sizeof pids), sizeof pids);
    close(ends[0]);
    close(ends[1]);
    kill(host, SIGKILL);
    waitpid(host, NULL, 0);
    assert_false(alive(pids[0]));
    assert_int_equal(kill(pids[1], 0), 0);
    kill(pids[1], SIGKILL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_back_exit_codes_and_signals),
        cmocka_unit_test(a_child_gives_way_as_asked),
        cmocka_unit_test(passes_descriptors_environment_folder_and_limits),
        cmocka_unit_test(names_what_failed),
        cmocka_unit_test(refuses_a_request_beyond_its_limit),
        cmocka_unit_test(children_die_with_the_host_unless_they_outlive_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
