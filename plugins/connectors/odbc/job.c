#include "job.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void *on_thread(void *arg)
{
    job *j = arg;
    uint64_t one = 1;
    j->work(j->arg);
    return write(j->done_fd, &one, sizeof one) == (ssize_t)sizeof one ? NULL : arg;
}

bool job_start(job *j, void (*work)(void *arg), void *arg)
{
    if (j->done_fd < 0)
        j->done_fd = eventfd(0, EFD_CLOEXEC);
    j->work = work;
    j->arg = arg;
    j->running = j->done_fd >= 0 && pthread_create(&j->thread, NULL, on_thread, j) == 0;
    return j->running;
}

static void collect(job *j)
{
    uint64_t n;
    pthread_join(j->thread, NULL);
    j->running = read(j->done_fd, &n, sizeof n) != (ssize_t)sizeof n;
}

pst_status job_wait(job *j, const pst_host *host, const pst_call *call, int64_t wait_us, pst_error *error)
{
    tcp done = {.host = host, .fd = j->done_fd};
    if (!j->running)
        return PST_OK;
    pst_status st = tcp_wait_until(&done, call, POLLIN, host->now_us(host) + wait_us, error);
    if (!st)
        collect(j);
    return st;
}

bool job_within(job *j, int wait_ms)
{
    struct pollfd done = {.fd = j->done_fd, .events = POLLIN};
    if (j->running && poll(&done, 1, wait_ms) > 0)
        collect(j);
    return !j->running;
}

void job_end(job *j)
{
    if (j->running)
        collect(j);
    if (j->done_fd >= 0)
        close(j->done_fd);
    j->done_fd = -1;
}
