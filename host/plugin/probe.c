/* The probe cell writes one JSON document to a pipe and ends. Whatever else happens (a crash in a
 * constructor, a hang, an exit) is turned into a sentence. */
#include "plugin/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "wire/message.h"

static status_class spawn_probe(nursery *spawner, const char *program, const char *user, const char *file,
                                int out, nursery_child *child, status *st)
{
    char by_fd[32];
    int fd = user ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (user && fd < 0)
        return status_errno(st, errno, file);
    snprintf(by_fd, sizeof by_fd, "/proc/self/fd/%d", WIRE_PLUGIN_FD);
    const char *argv[] = {"penstock-cell", "--probe", user ? by_fd : file, NULL};
    const char *asan = getenv("ASAN_OPTIONS");
    char sanitizer[512];
    snprintf(sanitizer, sizeof sanitizer, "ASAN_OPTIONS=%s", asan ? asan : "");
    const char *env[] = {"LD_BIND_NOW=1", "LANG=C.UTF-8", asan ? sanitizer : NULL, NULL};
    nursery_fd fds[] = {{2, 1}, {out, WIRE_SOCKET_FD}, {fd, WIRE_PLUGIN_FD}};
    nursery_limit limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 64}, {RLIMIT_CPU, PROBE_TIMEOUT_MS / 1000}};
    nursery_request r = {.program = program,
                         .argv = argv,
                         .env = env,
                         .user = user,
                         .fds = fds,
                         .n_fds = user ? 3 : 2,
                         .limits = limits,
                         .n_limits = 3};
    status_class class = nursery_spawn(spawner, &r, child, st);
    if (fd >= 0)
        close(fd);
    return class;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads to the end of the pipe; false: too long, or it did not end in time. */
static bool read_all(int fd, text *out)
{
    int64_t deadline = now_ms() + PROBE_TIMEOUT_MS;
    char part[16384];
    for (;;) {
        struct pollfd watched = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        if (left <= 0 || poll(&watched, 1, (int)left) <= 0)
            return false;
        ssize_t got = read(fd, part, sizeof part);
        if (got <= 0)
            return got == 0;
        text_add_n(out, part, (size_t)got);
        if (out->len > PROBE_ANSWER_MAX_BYTES)
            return false;
    }
}

static status_class judge(const text *answer, const nursery_exit *how, json_t **said_out, status *st)
{
    char words[128];
    nursery_exit_text(how, words, sizeof words);
    json_t *said = answer->len ? json_loadb(answer->data, answer->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *error = json_string_value(json_object_get(said, "error"));
    status_class class = STATUS_OK;
    if (error)
        class = status_set(st, STATUS_INVALID, "%s", error);
    else if (!said || !how->exited || how->code != 0)
        class = status_set(st, STATUS_INVALID, "it ends while it is read: %s", words);
    if (class == STATUS_OK)
        *said_out = said;
    else
        json_decref(said);
    return class;
}

status_class probe_run(nursery *spawner, const char *cell_program, const char *user, const char *file,
                       json_t **said_out, status *st)
{
    int ends[2];
    nursery_child child;
    nursery_exit how = {0};
    *said_out = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return status_errno(st, errno, "cannot make a pipe for a probe");
    status_class class = spawn_probe(spawner, cell_program, user, file, ends[1], &child, st);
    close(ends[1]);
    if (class == STATUS_OK) {
        text answer = {0};
        bool read = read_all(ends[0], &answer);
        if (!read)
            nursery_signal(spawner, &child, SIGKILL);
        class = nursery_wait(spawner, &child, PROBE_TIMEOUT_MS, &how, st);
        if (class != STATUS_OK)
            nursery_signal(spawner, &child, SIGKILL);
        nursery_release(spawner, &child);
        if (!read)
            class = status_set(st, STATUS_INVALID, "it does not describe itself within %d s",
                               PROBE_TIMEOUT_MS / 1000);
        else if (class == STATUS_OK)
            class = judge(&answer, &how, said_out, st);
        text_free(&answer);
    }
    close(ends[0]);
    return class;
}
