/* `penstock up` and `down` with a stand-in for the host, in a copy of the installed layout. */
#include "support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "program.h"

static status st;

static void put(const char *from, const char *folder, const char *name)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(disk_copy(from, path, 0755, &st), STATUS_OK);
}

/* <folder>/{bin/{penstock,penstockd},lib/penstock/plugins,share/penstock/templates} */
static char *layout_make(void)
{
    char *folder = test_folder(), path[4200];
    static const char *const parts[] = {"bin", "lib/penstock/plugins", "share/penstock/templates"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
        assert_int_equal(disk_make_folder(path, 0755, &st), STATUS_OK);
    }
    put(program_path(), folder, "bin/penstock");
    put(FAKE_HOST, folder, "bin/penstockd");
    return folder;
}

/* Below the range that the system deals from: a port that it gave once may go to any connection a moment
 * later. */
static int port_free(void)
{
    enum { FIRST = 12000, LAST = 32000 };
    static int tried;
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), port = FIRST + (getpid() * 31 + tried++) % (LAST - FIRST);
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        bool taken = bind(fd, (struct sockaddr *)&address, sizeof address) != 0;
        close(fd);
        if (!taken)
            return port;
        assert_true(tried < 1000);
    }
}

__attribute__((format(printf, 2, 3))) static program_result run(const char *folder, const char *format, ...)
{
    char program[4200], words[8300];
    va_list args;
    snprintf(program, sizeof program, "%s/bin/penstock", folder);
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return program_run_at(program, words, "/nonexistent/c.yaml", NULL, NULL);
}

static void up_twice_and_down(void **state)
{
    (void)state;
    char *folder = layout_make(), path[4200], expected[8400];
    int port = port_free();
    struct stat found;
    program_result r = run(folder, "up --state %s/s --port %d", folder, port);
    if (r.code != 0)
        fail_msg("up says: %s", r.err.data);
    snprintf(expected, sizeof expected, "http://127.0.0.1:%d\nexport PENSTOCK_CONFIG=%s/s/cli.yaml\n", port,
             folder);
    assert_string_equal(r.out.data, expected);
    program_result_release(&r);
    snprintf(path, sizeof path, "%s/s/cli.yaml", folder);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    text kept = {0};
    assert_int_equal(disk_read(path, 4096, &kept, &st), STATUS_OK);
    assert_non_null(strstr(kept.data, "psk_theadminkey"));
    text_free(&kept);
    r = run(folder, "up --state %s/s", folder); /* the port is remembered */
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out.data, expected);
    assert_non_null(strstr(r.err.data, "already running"));
    program_result_release(&r);
    r = run(folder, "down --state %s/s", folder);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err.data, "the host stopped\n");
    program_result_release(&r);
    r = run(folder, "down --state %s/s", folder);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err.data, "nothing runs"));
    program_result_release(&r);
    test_folder_remove(folder);
}

static void a_host_that_ends_is_reported_with_its_log(void **state)
{
    (void)state;
    char *folder = layout_make(), path[4200];
    snprintf(path, sizeof path, "%s/s", folder);
    assert_int_equal(disk_make_folder(path, 0755, &st), STATUS_OK);
    snprintf(path, sizeof path, "%s/s/refuse", folder);
    assert_int_equal(disk_write(path, "", 0, 0600, &st), STATUS_OK);
    program_result r = run(folder, "up --state %s/s --port %d", folder, port_free());
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err.data, "no such database"));
    assert_non_null(strstr(r.err.data, "ended with code 3"));
    program_result_release(&r);
    test_folder_remove(folder);
}

static void a_port_that_is_taken_is_named(void **state)
{
    (void)state;
    char *folder = layout_make();
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    program_result r = run(folder, "up --state %s/s --port %d", folder, ntohs(address.sin_port));
    assert_int_equal(r.code, 6);
    assert_non_null(strstr(r.err.data, "is taken by another program"));
    program_result_release(&r);
    close(fd);
    test_folder_remove(folder);
}

static void a_stranger_with_our_number_is_left_alone(void **state)
{
    (void)state;
    char *folder = layout_make(), path[4200], number[16];
    snprintf(path, sizeof path, "%s/s", folder);
    assert_int_equal(disk_make_folder(path, 0755, &st), STATUS_OK);
    snprintf(path, sizeof path, "%s/s/host.pid", folder);
    int len = snprintf(number, sizeof number, "%d\n", (int)getpid());
    assert_int_equal(disk_write(path, number, (size_t)len, 0600, &st), STATUS_OK);
    program_result r = run(folder, "down --state %s/s", folder);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err.data, "nothing runs"));
    program_result_release(&r);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(up_twice_and_down),
        cmocka_unit_test(a_host_that_ends_is_reported_with_its_log),
        cmocka_unit_test(a_port_that_is_taken_is_named),
        cmocka_unit_test(a_stranger_with_our_number_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
