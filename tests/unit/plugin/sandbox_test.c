/* A hostile plugin of each profile in a real cell: nothing that it tries succeeds, each denial is told once,
 * and what the config names is reached. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "plugin/instance_private.h"
#include "stand.h"

static nursery *spawner;
static stand s;

typedef struct ear { /* listens on 127.0.0.1; nobody may be heard unless the config names it */
    int socket;
    int port;
} ear;

static ear listen_on(int type)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    ear e = {.socket = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    assert_int_equal(bind(e.socket, (struct sockaddr *)&here, sizeof here), 0);
    assert_int_equal(getsockname(e.socket, (struct sockaddr *)&here, &len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(e.socket, 1000), 0);
    e.port = ntohs(here.sin_port);
    return e;
}

/* Something arrived. */
static bool heard(const ear *e, int type)
{
    char byte;
    int got = type == SOCK_STREAM ? accept(e->socket, NULL, NULL) : (int)recv(e->socket, &byte, 1, 0);
    if (type == SOCK_STREAM && got >= 0)
        close(got);
    return got >= 0;
}

/* How many attempts of the answer succeeded; each is printed. */
static int succeeded(const instance_batch *b, bool print)
{
    const column *attempt = &b->rows.columns[instance_batch_column(b, "attempt")];
    const column *outcome = &b->rows.columns[instance_batch_column(b, "outcome")];
    const column *flag = &b->rows.columns[instance_batch_column(b, "succeeded")];
    int n = 0;
    assert_true(b->rows.n_rows > 100);
    for (uint32_t i = 0; i < b->rows.n_rows; i++) {
        bool bad = bitmap_get(flag->values, i);
        n += bad;
        if (bad || print)
            print_message("%.*s: %.*s\n", attempt->offsets[i + 1] - attempt->offsets[i],
                          attempt->data + attempt->offsets[i], outcome->offsets[i + 1] - outcome->offsets[i],
                          outcome->data + outcome->offsets[i]);
    }
    print_message("%u attempts, %d succeeded\n", b->rows.n_rows, n);
    return n;
}

static void nothing_gets_out_of_a_net_cell(void **state)
{
    (void)state;
    status st;
    ear tcp = listen_on(SOCK_STREAM), udp = listen_on(SOCK_DGRAM), named = listen_on(SOCK_STREAM);
    instance *sibling = stand_instance(&s, "org.penstock.test.echo-source", "{}");
    must(instance_check(sibling, NULL, &st), &st);
    char config[1024], file[4200];
    snprintf(file, sizeof file, "%s/secret", s.folder);
    must(disk_write(file, "secret", 6, 0644, &st), &st);
    snprintf(
        config, sizeof config,
        "{\"host\": %d, \"sibling\": %d, \"tcp_port\": %d, \"udp_port\": %d, \"named_port\": %d,"
        " \"private_address\": \"10.255.0.1\", \"private_port\": 1883, \"names\": \"example.org localhost\","
        " \"files\": [\"%s\"], \"reach\": [\"127.0.0.1:%d\", \"10.255.0.1:1883\"]}",
        (int)getpid(), (int)stand_state(&s).pid, tcp.port, udp.port, named.port, file, named.port);
    instance *in = stand_instance(&s, "org.penstock.test.intruder", config);
    instance_turn turn;
    instance_batch *b;
    uint32_t wait;
    must(instance_open(in, NULL, NULL, 0, &st), &st);
    must(instance_read(in, NULL, 1000, &turn, &b, &wait, &st), &st);
    assert_int_equal(succeeded(b, getenv("PENSTOCK_SHOW_ATTEMPTS") != NULL), 0);
    assert_false(heard(&tcp, SOCK_STREAM));
    assert_false(heard(&udp, SOCK_DGRAM));
    assert_true(heard(&named, SOCK_STREAM));
    print_message("%s\n", stand_state(&s).sandbox);
    instance_batch_free(b);
    instance_free(in);
    must(instance_check(sibling, NULL, &st), &st);
    instance_free(sibling);
    close(tcp.socket);
    close(udp.socket);
    close(named.socket);
}

static void nothing_gets_out_of_a_pure_cell(void **state)
{
    (void)state;
    status st;
    char config[256];
    ear tcp = listen_on(SOCK_STREAM), udp = listen_on(SOCK_DGRAM);
    snprintf(config, sizeof config,
             "{\"host\": %d, \"tcp_port\": %d, \"udp_port\": %d, \"reach\": [\"127.0.0.1:%d\"]}",
             (int)getpid(), tcp.port, udp.port, tcp.port);
    instance *in = stand_instance(&s, "org.penstock.test.intruder-metric", config);
    instance_batch *b;
    must(instance_evaluate(in, NULL, "{}", "{}", NULL, 0, &b, &st), &st);
    assert_int_equal(succeeded(b, getenv("PENSTOCK_SHOW_ATTEMPTS") != NULL), 0);
    assert_false(heard(&tcp, SOCK_STREAM));
    assert_false(heard(&udp, SOCK_DGRAM));
    print_message("%s\n", stand_state(&s).sandbox);
    instance_batch_free(b);
    instance_free(in);
    close(tcp.socket);
    close(udp.socket);
}

static int open_files(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    int n = 0;
    assert_non_null(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

enum { SETTLE_MS = 20000 };

/* Ends are noticed a little later, on a busy machine much later; what is lost is never noticed. */
static int open_files_settled(pid_t pid, int most)
{
    int n = open_files(pid);
    for (int i = 0; n > most && i < SETTLE_MS; i++) {
        usleep(1000);
        n = open_files(pid);
    }
    return n;
}

static void wait_until_gone(pid_t pid)
{
    while (kill(pid, 0) == 0)
        usleep(1000);
}

static void wait_for_broker(const instance_set *set, unsigned generation)
{
    while (broker_generation(set->broker) != generation || !broker_pid(set->broker))
        usleep(1000);
}

/* What a connector reads from a place that its config names; the first thing that a cell without a broker
 * lacks. */
static status_class read_once(instance *in, int *bad, status *st)
{
    instance_turn turn;
    instance_batch *b = NULL;
    uint32_t wait;
    status_class class = instance_open(in, NULL, NULL, 0, st);
    if (class == STATUS_OK)
        class = instance_read(in, NULL, 1000, &turn, &b, &wait, st);
    *bad = class == STATUS_OK ? succeeded(b, false) : -1;
    instance_batch_free(b);
    return class;
}

/* With its broker a cell loses what it may do, and the next cell has a new one. */
static void a_dead_broker_opens_nothing(void **state)
{
    (void)state;
    status st;
    int bad;
    ear tcp = listen_on(SOCK_STREAM);
    char config[128];
    snprintf(config, sizeof config, "{\"tcp_port\": %d, \"udp_port\": %d}", tcp.port, tcp.port);
    instance *in = stand_instance(&s, "org.penstock.test.intruder", config);
    must(read_once(in, &bad, &st), &st);
    assert_int_equal(bad, 0);
    pid_t first = stand_state(&s).pid, old = broker_pid(s.set->broker);
    unsigned generation = broker_generation(s.set->broker);
    kill(old, SIGKILL);
    wait_until_gone(old);
    wait_for_broker(s.set, generation + 1);
    assert_true(broker_pid(s.set->broker) != old);
    while (read_once(in, &bad, &st) != STATUS_OK) /* the source was closed with its cell */
        assert_int_equal(st.class, STATUS_UNAVAILABLE);
    assert_int_equal(bad, 0);
    assert_true(stand_state(&s).pid != first);
    assert_false(heard(&tcp, SOCK_STREAM));
    instance_free(in);
    close(tcp.socket);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void cells_come_and_go_without_a_trace(void **state)
{
    (void)state;
    status st;
    const char *many = getenv("PENSTOCK_CELL_STARTS"); /* a soak sets it */
    int starts = many ? atoi(many) : 40, before = 0, here = 0;
    int64_t *took = calloc((size_t)starts, sizeof *took);
    instance *in = stand_instance(&s, "org.penstock.test.echo-source", "{}");
    assert_non_null(took);
    for (int i = 0; i < starts; i++) {
        took[i] = now_us();
        if (i == 10) {
            before = open_files(broker_pid(s.set->broker));
            here = open_files(getpid());
        }
        must(instance_start(in, NULL, &st), &st);
        took[i] = now_us() - took[i];
        assert_int_equal(instance_set_stop_idle(s.set, 0), 1);
    }
    qsort(took, (size_t)starts, sizeof *took, by_length);
    int after =
        open_files_settled(broker_pid(s.set->broker), before + 1); /* the newest may still be noticed */
    print_message("%d cells: the broker had %d descriptors after 10 and %d at the end\n", starts, before,
                  after);
    print_message("from spawn to configured: p50 %ld us, p99 %ld us\n", (long)took[starts / 2],
                  (long)took[starts * 99 / 100]);
    free(took);
    assert_true(after <= before + 1);
    assert_true(open_files_settled(getpid(), here) <= here);
    instance_free(in);
}

static void a_cell_runs_as_another_user(void **state)
{
    (void)state;
    status st;
    int bad;
    if (geteuid() != 0 || access("/etc/passwd", R_OK) != 0)
        skip();
    instance_set *before = s.set;
    instance_set_settings common = {
        .spawner = spawner, .cell_program = CELL_PROGRAM, .cell_user = "nobody", .settings = s.settings};
    s.set = instance_set_create(&common);
    instance *in = stand_instance(&s, "org.penstock.test.intruder", "{}");
    must(read_once(in, &bad, &st), &st);
    assert_int_equal(bad, 0);
    print_message("%s\n", stand_state(&s).sandbox);
    assert_null(strstr(stand_state(&s).sandbox, "\"uid\":0"));
    instance_free(in);
    instance_set_free(s.set);
    s.set = before;
}

static int setup(void **state)
{
    (void)state;
    status st;
    spawner = nursery_start(&st);
    static const char *const plugins[] = {"echo_source", "intruder_net", "intruder_pure", NULL};
    stand_up(&s, spawner, plugins);
    return spawner ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    stand_down(&s);
    nursery_stop(spawner);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gets_out_of_a_net_cell), cmocka_unit_test(nothing_gets_out_of_a_pure_cell),
        cmocka_unit_test(a_dead_broker_opens_nothing),    cmocka_unit_test(cells_come_and_go_without_a_trace),
        cmocka_unit_test(a_cell_runs_as_another_user),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
