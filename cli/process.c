/* fork, setsid, exec; pidfd to wait and to signal. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/disk.h"

#define PATH_SIZE 4096

/* The folder that holds this program. */
static bool own_folder(char out[PATH_SIZE])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_SIZE - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return true;
}

/* The first of the candidates (relative to our folder) that exists. */
static bool beside_find(const char *const *formats, size_t n, const char *name, char *out, size_t size)
{
    char folder[PATH_SIZE], path[PATH_SIZE];
    if (!own_folder(folder))
        return false;
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, formats[i], name);
        char *real = realpath(path, NULL);
        if (!real)
            continue;
        snprintf(out, size, "%s", real);
        free(real);
        return true;
    }
    return false;
}

status_class program_find(const char *name, char *out, size_t size, status *st)
{
    static const char *const places[] = {".", "../libexec/penstock", "../host", "../cell", "../sdk/check"};
    if (beside_find(places, sizeof places / sizeof *places, name, out, size))
        return STATUS_OK;
    status_set(st, STATUS_NOT_FOUND, "the program %s is not installed beside this one", name);
    return status_hint(st, "./dev build makes both");
}

status_class share_find(const char *name, char *out, size_t size, status *st)
{
    static const char *const places[] = {"../share/penstock", "../../..", "../../../share/penstock"};
    if (beside_find(places, sizeof places / sizeof *places, name, out, size))
        return STATUS_OK;
    return status_set(st, STATUS_NOT_FOUND, "the folder %s is not installed beside this program", name);
}

status_class plugins_find(char *out, size_t size, status *st)
{
    static const char *const places[] = {"../lib/penstock", ".."};
    if (beside_find(places, sizeof places / sizeof *places, "plugins", out, size))
        return STATUS_OK;
    return status_set(st, STATUS_NOT_FOUND, "the folder of the plugins is not installed beside this program");
}

static bool has_argument(pid_t pid, const char *argument)
{
    char path[64], line[8192];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    line[n] = '\0';
    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(line + at) + 1) {
        if (strcmp(line + at, argument) == 0)
            return true;
    }
    return false;
}

pid_t process_of(const char *pid_file, const char *argument)
{
    text content = {0};
    status ignored;
    long pid = 0;
    if (disk_read(pid_file, 4096, &content, &ignored) == STATUS_OK)
        pid = strtol(text_or_empty(&content), NULL, 10);
    text_free(&content);
    return pid > 1 && has_argument((pid_t)pid, argument) ? (pid_t)pid : 0;
}

__attribute__((noreturn)) static void child_run(const char *const *argv, const char *log)
{
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    static const char *const ours[] = {"PENSTOCK_CONFIG", "PENSTOCK_URL", "PENSTOCK_KEY",
                                       "PENSTOCK_WORKSPACE"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        unsetenv(ours[i]); /* NOLINT(concurrency-mt-unsafe) one thread */
    setsid();
    if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || chdir("/") != 0)
        _exit(126);
    signal(SIGPIPE, SIG_DFL);
    execv(argv[0], (char *const *)argv); /* NOLINT(clang-analyzer-optin.taint*) found beside this program */
    _exit(127);
}

status_class process_start(const char *const *argv, const char *log, const char *pid_file, pid_t *pid_out,
                           status *st)
{
    pid_t pid = fork();
    if (pid < 0)
        return status_errno(st, errno, "starting a process");
    if (pid == 0)
        child_run(argv, log);
    *pid_out = pid;
    if (!pid_file)
        return STATUS_OK;
    char number[16];
    int len = snprintf(number, sizeof number, "%d\n", (int)pid);
    return disk_write(pid_file, number, (size_t)len, 0644, st);
}

bool process_ended(pid_t pid, int *code_out)
{
    int state;
    if (waitpid(pid, &state, WNOHANG) != pid)
        return false;
    *code_out = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return true;
}

status_class process_end(pid_t pid, int signal_number, int timeout_ms, status *st)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 && errno == ESRCH)
        return STATUS_OK;
    if (fd < 0)
        return status_errno(st, errno, "looking at the process");
    status_class class = STATUS_OK;
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) != 0 && errno != ESRCH)
        class = status_errno(st, errno, "stopping the process");
    else if (poll(&wait, 1, timeout_ms) != 1)
        class = status_set(st, STATUS_TIMEOUT, "process %d is still there after %d s", (int)pid,
                           timeout_ms / 1000);
    close(fd);
    return class;
}
