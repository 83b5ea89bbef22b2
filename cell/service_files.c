/* penstock.files/1: every answer is the host's; a long list is asked for in pieces. */
#include <string.h>

#include "cell/question.h"
#include "cell/services.h"
#include "penstock/batch.h"

static pst_status odd_answer(pst_error *error)
{
    return pst_fail(error, PST_E_INTERNAL, NULL, "the host's answer about a file cannot be read");
}

static pst_status on_open(const pst_host *host, const pst_call *call, const char *path, int *fd_out,
                          pst_error *error)
{
    question *q;
    *fd_out = -1;
    pst_status status = question_begin(host->host_data, call, SERVICE_FILES, SERVICE_FILES_OPEN, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_PATH, path);
    status = question_ask(q, error);
    if (!status && q->fd < 0)
        status = odd_answer(error);
    if (!status) {
        *fd_out = q->fd;
        q->fd = -1;
    }
    question_end(q);
    return status;
}

static bool take_file(question *q, pst_file *out)
{
    frame_item item;
    service_file f;
    if (!frame_take(&q->results, FRAME_FILE, &item) || item.len <= sizeof f)
        return false;
    size_t name_len = item.len - sizeof f;
    const char *name = (const char *)item.data + sizeof f;
    if (name_len > sizeof out->name || name[name_len - 1])
        return false;
    memcpy(&f, item.data, sizeof f);
    *out = (pst_file){.kind = (int32_t)item.aux,
                      .device = f.device,
                      .inode = f.inode,
                      .bytes = f.bytes,
                      .modified_us = f.modified_us};
    memcpy(out->name, name, name_len);
    return true;
}

static pst_status on_find(const pst_host *host, const pst_call *call, const char *path, pst_file *out,
                          pst_error *error)
{
    question *q;
    pst_status status = question_begin(host->host_data, call, SERVICE_FILES, SERVICE_FILES_FIND, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_PATH, path);
    status = question_ask(q, error);
    if (!status && !take_file(q, out))
        status = odd_answer(error);
    question_end(q);
    return status;
}

/* As many as one answer holds; PST_END: there are no more behind them. */
static pst_status list_some(const pst_host *host, const pst_call *call, const char *folder,
                            const char *pattern, const char *after, pst_file *out, size_t cap, size_t *n_out,
                            pst_error *error)
{
    question *q;
    pst_status status = question_begin(host->host_data, call, SERVICE_FILES, SERVICE_FILES_LIST, &q, error);
    if (status)
        return status;
    frame_put_text(&q->arguments, FRAME_PATH, folder);
    frame_put_text(&q->arguments, FRAME_KEY, pattern ? pattern : "*");
    frame_put_text(&q->arguments, FRAME_VALUE, after);
    frame_put(&q->arguments, FRAME_NUMBER, cap < UINT32_MAX ? (uint32_t)cap : UINT32_MAX, NULL, 0);
    status = question_ask(q, error);
    while (status >= 0 && *n_out < cap && take_file(q, &out[*n_out]))
        ++*n_out;
    question_end(q);
    return status;
}

static pst_status on_list(const pst_host *host, const pst_call *call, const char *folder, const char *pattern,
                          const char *after, pst_file *out, size_t cap, size_t *n_out, pst_error *error)
{
    pst_status status = PST_OK;
    *n_out = 0;
    while (status == PST_OK && *n_out < cap) {
        size_t n = 0;
        status = list_some(host, call, folder, pattern, after, out + *n_out, cap - *n_out, &n, error);
        if (status == PST_OK && !n)
            return odd_answer(error);
        *n_out += n;
        after = n ? out[*n_out - 1].name : after;
    }
    return status == PST_END ? PST_OK : status;
}

const pst_files service_files = {
    .struct_size = sizeof(pst_files), .open = on_open, .find = on_find, .list = on_list};
