/* The broker with a cell that the test plays itself: names by the rules, denials once, files where the kernel
 * has no Landlock. */
#include "loop/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/nursery_wire.h"
#include "support/check.h"
#include "wire/door.h"

static nursery *spawner;

typedef struct heard {
    pthread_mutex_t lock;
    pthread_cond_t more;
    unsigned events;
    uint64_t count, tag;
    char last[DOOR_TEXT_MAX];
} heard;

static void on_denied(void *arg, uint64_t tag, const char *what, uint64_t count)
{
    heard *h = arg;
    pthread_mutex_lock(&h->lock);
    h->events++;
    h->count += count;
    h->tag = tag;
    if (*what)
        snprintf(h->last, sizeof h->last, "%s", what);
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
}

static void wait_for_count(heard *h, uint64_t count)
{
    pthread_mutex_lock(&h->lock);
    while (h->count < count)
        pthread_cond_wait(&h->more, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static broker *begin(heard *h)
{
    status st;
    broker *b;
    *h = (heard){.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
    assert_int_equal(broker_start(spawner, on_denied, h, &b, &st), STATUS_OK);
    return b;
}

static int admit(broker *b, bool network, const char *host)
{
    status st;
    int door;
    broker_reach reach = {.port = 80};
    snprintf(reach.host, sizeof reach.host, "%s", host);
    broker_admission a = {.tag = 7, .network = network, .reach = &reach, .n_reach = 1};
    assert_int_equal(broker_admit(b, &a, &door, &st), STATUS_OK);
    return door;
}

static bool ask(int door, door_kind kind, const char *name, uint32_t flags, int fd, door_answer *out)
{
    static uint32_t number;
    static door_ask a;
    a = (door_ask){.kind = kind, .number = ++number, .pid = (uint32_t)getpid(), .flags = flags};
    snprintf(a.name, sizeof a.name, "%s", name);
    return nursery_message_send(door, &a, DOOR_ASK_LEAST + strlen(name) + 1, &fd, fd >= 0) > 0 &&
           recv(door, out, sizeof *out, 0) == (ssize_t)sizeof *out && out->number == a.number;
}

static void names_are_resolved_by_the_rules(void **state)
{
    (void)state;
    heard h;
    broker *b = begin(&h);
    int door = admit(b, true, "localhost");
    door_answer a;
    assert_true(ask(door, DOOR_RESOLVE, "localhost", 0, -1, &a));
    assert_int_equal(a.error, 0);
    assert_true(a.n >= 1);
    assert_true(ask(door, DOOR_RESOLVE, "other.example", 0, -1, &a));
    assert_int_equal(a.error, EAI_FAIL);
    assert_true(ask(door, DOOR_RESOLVE, "other.example", 0, -1, &a));
    assert_true(ask(door, DOOR_DENIED, "", 0, -1, &a));
    assert_string_equal(a.text, "resolving other.example was refused: the configuration does not name it");
    assert_true(ask(door, DOOR_DENIED, "", 0, -1, &a));
    assert_string_equal(a.text, "");
    /* A place that is added is in force at once: a name without an address is no denial. */
    broker_reach more = {.host = "nowhere.invalid"};
    broker_reach_add(b, 7, &more);
    assert_true(ask(door, DOOR_RESOLVE, "nowhere.invalid", 0, -1, &a));
    assert_true(a.error != 0 && a.error != EAI_FAIL);
    assert_true(ask(door, DOOR_BEGIN, "x", 0, -1, &a)); /* without a listener */
    assert_int_equal(a.error, EINVAL);
    close(door);
    wait_for_count(&h, 2); /* the second with the end of the cell */
    assert_int_equal(h.events, 2);
    assert_int_equal(h.tag, 7);
    broker_stop(b);
}

/* More denials than the socket to the host holds, while the host is busy with the first: none is lost. */
static void a_busy_host_hears_of_every_denial(void **state)
{
    (void)state;
    enum { CELLS = 24, NAMES = 100 };
    heard h;
    broker *b = begin(&h);
    int doors[CELLS];
    door_answer a;
    pthread_mutex_lock(&h.lock);
    for (int i = 0; i < CELLS; i++) {
        doors[i] = admit(b, true, "localhost");
        for (int name = 0; name < NAMES; name++) {
            char host[40];
            snprintf(host, sizeof host, "n%d.cell%d.example", name, i);
            assert_true(ask(doors[i], DOOR_RESOLVE, host, 0, -1, &a));
            assert_int_equal(a.error, EAI_FAIL);
        }
    }
    pthread_mutex_unlock(&h.lock);
    wait_for_count(&h, (uint64_t)CELLS * NAMES);
    assert_int_equal(h.events, CELLS * NAMES);
    for (int i = 0; i < CELLS; i++)
        close(doors[i]);
    broker_stop(b);
}

static void without_a_network_no_name_is_known(void **state)
{
    (void)state;
    heard h;
    broker *b = begin(&h);
    int door = admit(b, false, "localhost");
    door_answer a;
    assert_true(ask(door, DOOR_RESOLVE, "localhost", 0, -1, &a));
    assert_int_equal(a.error, EAI_FAIL);
    close(door);
    broker_stop(b);
}

static int outcome(const char *path, int flags)
{
    char byte;
    int fd = open(path, flags);
    int failed = fd < 0 ? errno : read(fd, &byte, 1) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return failed;
}

/* In a child: opens through the broker, which says what came of it by its exit code. */
static _Noreturn void play_cell(int door)
{
    door_answer a;
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(openat), 0);
    seccomp_rule_add(f, SCMP_ACT_NOTIFY, SCMP_SYS(getsid), 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_load(f) != 0)
        _exit(10);
    if (!ask(door, DOOR_BEGIN, "/nowhere/plugin.so", 0, seccomp_notify_fd(f), &a) || a.error)
        _exit(11);
    close(seccomp_notify_fd(f));
    if (outcome("/etc/hosts", O_RDONLY) != 0)
        _exit(12);
    if (outcome("/etc/passwd", O_RDONLY) != EACCES || outcome("/usr/../etc/passwd", O_RDONLY) != EACCES)
        _exit(13);
    if (outcome("/etc/hosts", O_RDWR) != EACCES || outcome("etc/hosts", O_RDONLY) != EACCES)
        _exit(14);
    if (outcome("/proc/self/status", O_RDONLY) != EACCES) /* it would be the broker's */
        _exit(15);
    if (outcome("/usr/is-not-there", O_RDONLY) != ENOENT)
        _exit(16);
    if (syscall(SYS_getsid, 0) != -1 || errno != EPERM)
        _exit(17);
    _exit(0);
}

static void files_are_handed_over_without_landlock(void **state)
{
    (void)state;
    heard h;
    int how;
    broker *b = begin(&h);
    int door = admit(b, true, "localhost");
    pid_t child = fork();
    if (child == 0)
        play_cell(door);
    close(door);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), 0);
    wait_for_count(&h, 5);
    assert_string_equal(h.last, "the call getsid was refused");
    broker_stop(b);
}

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    return spawner ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    nursery_stop(spawner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_resolved_by_the_rules),
        cmocka_unit_test(a_busy_host_hears_of_every_denial),
        cmocka_unit_test(without_a_network_no_name_is_known),
        cmocka_unit_test(files_are_handed_over_without_landlock),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
