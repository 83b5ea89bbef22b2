/* penstock.program as the stand has it: the program of check.json's config, without a host that grants it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/stand.h"

enum { ARGUMENTS_MAX = 20 };
static pid_t child;

static void on_stop(const pst_host *host, const pst_call *call)
{
    (void)host;
    (void)call;
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    child = 0;
}

_Noreturn static void become(const stand *t, const int out[2], const int errors[2])
{
    char *argv[ARGUMENTS_MAX + 2] = {(char *)json_string_value(json_object_get(t->config, "program"))},
                               *env[] = {NULL};
    const json_t *arguments = json_object_get(t->config, "arguments");
    for (size_t i = 0; i < json_array_size(arguments) && i < ARGUMENTS_MAX; i++)
        argv[i + 1] = (char *)json_string_value(json_array_get(arguments, i));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(out[1], 1) >= 0 && dup2(errors[1], 2) >= 0)
        execve(argv[0], argv, env);
    _exit(127);
}

static pst_status on_start(const pst_host *host, const pst_call *call, int *output_fd, int *error_fd,
                           pst_error *error)
{
    int out[2], errors[2];
    on_stop(host, call);
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(errors, O_CLOEXEC) != 0)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no pipe");
    child = fork();
    if (child == 0)
        become(host->host_data, out, errors);
    close(out[1]);
    close(errors[1]);
    *output_fd = out[0];
    *error_fd = errors[0];
    return child > 0 ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no process");
}

static pst_status on_ended(const pst_host *host, const pst_call *call, int32_t *code, pst_error *error)
{
    int how;
    (void)host;
    (void)call;
    (void)error;
    if (child <= 0)
        return PST_END;
    if (waitpid(child, &how, WNOHANG) != child)
        return PST_IDLE;
    *code = WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
    child = 0;
    return PST_OK;
}

const pst_program_service stand_program = {
    .struct_size = sizeof stand_program, .start = on_start, .ended = on_ended, .stop = on_stop};
