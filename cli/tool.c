/* fork, exec, read until the end of its outputs, wait. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool tool_is_there(const char *name)
{
    const char *path = getenv("PATH");
    char file[4096];
    while (path && *path) {
        size_t len = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)len, path, name);
        if (access(file, X_OK) == 0)
            return true;
        path += len + (path[len] == ':');
    }
    return false;
}

__attribute__((noreturn)) static void child(const char *const *argv, const char *folder, int out)
{
    if ((folder && chdir(folder) != 0) || (out >= 0 && (dup2(out, 1) < 0 || dup2(out, 2) < 0)))
        _exit(126);
    execvp(argv[0], (char *const *)argv); /* NOLINT(clang-analyzer-optin.taint*) the author's own tools */
    _exit(127);
}

static void listen_to(int fd, text *said)
{
    char part[4096];
    for (ssize_t n; (n = read(fd, part, sizeof part)) != 0;) {
        if (n > 0)
            text_add_n(said, part, (size_t)n);
        else if (errno != EINTR)
            return;
    }
}

status_class tool_run(const char *const *argv, const char *folder, text *said, int *code_out, status *st)
{
    int pipes[2] = {-1, -1}, state = 0;
    if (!strchr(argv[0], '/') && !tool_is_there(argv[0]))
        return status_set(st, STATUS_NOT_FOUND, "there is no %s on this machine", argv[0]);
    if (said && pipe2(pipes, O_CLOEXEC) != 0)
        return status_errno(st, errno, "a pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child(argv, folder, pipes[1]);
    if (said)
        close(pipes[1]);
    if (pid > 0 && said)
        listen_to(pipes[0], said);
    if (said)
        close(pipes[0]);
    if (pid < 0 || waitpid(pid, &state, 0) != pid)
        return status_errno(st, errno, argv[0]);
    *code_out = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return STATUS_OK;
}
