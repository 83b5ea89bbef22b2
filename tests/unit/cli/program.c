#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_KEY "psk_testtesttesttesttesttest12"

static void child_run(const char *program, char *words, const char *config, const char *url,
                      const int pipes[3])
{
    char *argv[64] = {(char *)"penstock"};
    int n = 1;
    for (char *word = strtok(words, " "); word && n < 63; word = strtok(NULL, " "))
        argv[n++] = word;
    for (int i = 0; i < 3; i++)
        dup2(pipes[i], i);
    setenv("PENSTOCK_CONFIG", config, 1);
    unsetenv("PENSTOCK_URL");
    unsetenv("PENSTOCK_KEY");
    unsetenv("PENSTOCK_WORKSPACE");
    if (url) {
        setenv("PENSTOCK_URL", url, 1);
        setenv("PENSTOCK_KEY", TEST_KEY, 1);
        setenv("PENSTOCK_WORKSPACE", "demo", 1);
    }
    execv(program, argv);
    _exit(127);
}

static void both_read(int out, int err, program_result *r)
{
    struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
    text *into[2] = {&r->out, &r->err};
    char piece[65536];
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, 60000) <= 0)
            return;
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || !fds[i].revents)
                continue;
            ssize_t n = read(fds[i].fd, piece, sizeof piece);
            if (n > 0)
                text_add_n(into[i], piece, (size_t)n);
            else
                fds[i].fd = -1;
        }
    }
}

static int input_open(const char *input)
{
    if (!input)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    FILE *f = tmpfile();
    fputs(input, f);
    fflush(f);
    int fd = dup(fileno(f));
    lseek(fd, 0, SEEK_SET);
    fclose(f);
    return fd;
}

program_result program_run_at(const char *program, const char *words, const char *config, const char *url,
                              const char *input)
{
    program_result r = {0};
    int out[2], err[2], in = input_open(input), state;
    char *copy = strdup(words);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0)
        child_run(program, copy, config, url, (const int[3]){in, out[1], err[1]});
    close(in);
    close(out[1]);
    close(err[1]);
    both_read(out[0], err[0], &r);
    close(out[0]);
    close(err[0]);
    waitpid(pid, &state, 0);
    r.code = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    text_add(&r.out, "");
    text_add(&r.err, "");
    free(copy);
    return r;
}

program_result program_run(const char *words, const char *config, const char *url, const char *input)
{
    return program_run_at(PENSTOCK_PROGRAM, words, config, url, input);
}

const char *program_path(void)
{
    return PENSTOCK_PROGRAM;
}

void program_result_release(program_result *r)
{
    text_free(&r->out);
    text_free(&r->err);
}

pid_t mail_sink_start(const char *folder)
{
    pid_t pid = fork();
    if (pid == 0) {
        execl(MAIL_SINK_PROGRAM, "penstock-mail-sink", "--folder", folder, (char *)NULL);
        _exit(127);
    }
    return pid;
}
