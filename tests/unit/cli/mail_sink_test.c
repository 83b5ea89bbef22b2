/* The mail sink takes a mail as a mail client sends it, and keeps its exact lines. */
#include "support/check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"
#include "program.h"

static status st;

static int port_of(const char *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/port", folder);
    for (int tries = 0; tries < 200; tries++) {
        text content = {0};
        int port = disk_read(path, 64, &content, &st) == STATUS_OK ? atoi(content.data) : 0;
        text_free(&content);
        if (port)
            return port;
        usleep(20000);
    }
    return 0;
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void expect(int fd, const char *say, const char *code)
{
    char line[1024] = "";
    if (say)
        assert_int_equal(send(fd, say, strlen(say), 0), strlen(say));
    ssize_t n = recv(fd, line, sizeof line - 1, 0);
    assert_true(n > 3);
    assert_int_equal(strncmp(line, code, 3), 0);
}

static void only_mail(const char *folder, text *out)
{
    char path[4200], file[4600] = "";
    snprintf(path, sizeof path, "%s/new", folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strstr(e->d_name, ".eml")) {
            assert_string_equal(file, "");
            snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        }
    }
    closedir(d);
    assert_int_equal(disk_read(file, 1 << 20, out, &st), STATUS_OK);
}

static void a_mail_is_kept(void **state)
{
    (void)state;
    char *folder = test_folder();
    pid_t pid = mail_sink_start(folder);
    int port = port_of(folder), fd;
    assert_true(port > 0);
    fd = dial(port);
    expect(fd, NULL, "220");
    expect(fd, "EHLO me\r\n", "250");
    expect(fd, "DATA\r\n", "503");
    expect(fd, "MAIL FROM:<a@b>\r\n", "250");
    expect(fd, "RCPT TO:<c@d>\r\n", "250");
    expect(fd, "DATA\r\n", "354");
    expect(fd, "Subject: s\r\n\r\nhi\r\n..dot\r\n.\r\n", "250");
    expect(fd, "WHAT\r\n", "502");
    expect(fd, "QUIT\r\n", "221");
    close(fd);
    text mail = {0};
    only_mail(folder, &mail);
    assert_string_equal(mail.data,
                        "X-Envelope-From: <a@b>\r\nX-Envelope-To: <c@d>\r\nSubject: s\r\n\r\nhi\r\n.dot\r\n");
    text_free(&mail);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    test_folder_remove(folder);
}

/* One line more than fits: it is not kept in part, and the session goes on. */
static void a_mail_that_is_too_large_is_refused(void **state)
{
    (void)state;
    enum { LINE = 4000, LINES = (25 << 20) / (LINE + 2) + 1 };
    char *folder = test_folder(), line[LINE + 3], path[4200];
    pid_t pid = mail_sink_start(folder);
    int fd = dial(port_of(folder));
    memset(line, 'x', LINE);
    memcpy(line + LINE, "\r\n", 3);
    expect(fd, NULL, "220");
    expect(fd, "MAIL FROM:<a@b>\r\n", "250");
    expect(fd, "RCPT TO:<c@d>\r\n", "250");
    expect(fd, "DATA\r\n", "354");
    for (int i = 0; i < LINES; i++)
        assert_int_equal(send(fd, line, LINE + 2, 0), LINE + 2);
    expect(fd, ".\r\n", "552");
    expect(fd, "NOOP\r\n", "250");
    close(fd);
    snprintf(path, sizeof path, "%s/new", folder);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        assert_int_equal(e->d_name[0], '.');
    if (d)
        closedir(d);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_mail_is_kept),
                                       cmocka_unit_test(a_mail_that_is_too_large_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
