/* penstock.program/1: every answer is the host's. */
#include <string.h>
#include <unistd.h>

#include "cell/question.h"
#include "cell/services.h"
#include "penstock/batch.h"

static pst_status ask(const pst_host *host, const pst_call *call, uint32_t function, int *fd_out,
                      int32_t *code_out, pst_error *error)
{
    question *q;
    frame_item item;
    pst_status st = question_begin(host->host_data, call, SERVICE_PROGRAM, function, &q, error);
    if (st)
        return st;
    st = question_ask(q, error);
    bool odd =
        !st && ((fd_out && q->fd < 0) ||
                (code_out && (!frame_take(&q->results, FRAME_AT, &item) || item.len != sizeof *code_out)));
    if (odd)
        st = pst_fail(error, PST_E_INTERNAL, NULL, "the host's answer about the program cannot be read");
    if (!st && fd_out) {
        *fd_out = q->fd;
        q->fd = -1;
    }
    if (!st && code_out)
        memcpy(code_out, item.data, sizeof *code_out);
    question_end(q);
    return st;
}

static pst_status on_start(const pst_host *host, const pst_call *call, int *output_fd, int *error_fd,
                           pst_error *error)
{
    *output_fd = *error_fd = -1;
    pst_status st = ask(host, call, SERVICE_PROGRAM_START, output_fd, NULL, error);
    st = st ? st : ask(host, call, SERVICE_PROGRAM_ERRORS, error_fd, NULL, error);
    if (st && *output_fd >= 0) {
        close(*output_fd);
        *output_fd = -1;
    }
    return st;
}

static pst_status on_ended(const pst_host *host, const pst_call *call, int32_t *code, pst_error *error)
{
    return ask(host, call, SERVICE_PROGRAM_ENDED, NULL, code, error);
}

static void on_stop(const pst_host *host, const pst_call *call)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    ask(host, call, SERVICE_PROGRAM_STOP, NULL, NULL, &ignored);
}

const pst_program_service service_program = {
    .struct_size = sizeof(pst_program_service), .start = on_start, .ended = on_ended, .stop = on_stop};
