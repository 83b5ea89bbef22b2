#include "support/nursery_fake.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FIRST_PID = 1000 };

static status_class fake_spawn(nursery *n, const nursery_request *request, nursery_child *child_out,
                               status *st)
{
    nursery_fake *fake = (nursery_fake *)n;
    snprintf(fake->last_program, sizeof fake->last_program, "%s", request->program);
    snprintf(fake->last_user, sizeof fake->last_user, "%s", request->user ? request->user : "");
    fake->last_outlive = request->outlive;
    fake->last_arguments[0] = '\0';
    for (size_t i = 0; request->argv && request->argv[i]; i++) {
        size_t len = strlen(fake->last_arguments);
        snprintf(fake->last_arguments + len, sizeof fake->last_arguments - len, "%s%s", i ? " " : "",
                 request->argv[i]);
    }
    if (fake->spawn_answer != STATUS_OK)
        return status_set(st, fake->spawn_answer, "cannot start %s: the fake was told so", request->program);
    *child_out = (nursery_child){.pid = FIRST_PID + (pid_t)fake->spawned++, .pidfd = eventfd(1, EFD_CLOEXEC)};
    return STATUS_OK;
}

static status_class fake_wait(nursery *n, const nursery_child *child, int timeout_ms, nursery_exit *exit_out,
                              status *st)
{
    (void)child, (void)timeout_ms, (void)st;
    *exit_out = ((nursery_fake *)n)->exit;
    return STATUS_OK;
}

static int fake_signal(nursery *n, const nursery_child *child, int number)
{
    (void)child;
    nursery_fake *fake = (nursery_fake *)n;
    fake->signals++;
    fake->last_signal = number;
    return 0;
}

static void fake_release(nursery *n, nursery_child *child)
{
    ((nursery_fake *)n)->released++;
    close(child->pidfd);
}

static void fake_stop(nursery *n)
{
    (void)n;
}

void nursery_fake_init(nursery_fake *fake)
{
    static const nursery_operations operations = {.spawn = fake_spawn,
                                                  .wait = fake_wait,
                                                  .signal = fake_signal,
                                                  .release = fake_release,
                                                  .stop = fake_stop};
    *fake = (nursery_fake){.base = {.operations = &operations}, .exit = {.exited = true}};
}
