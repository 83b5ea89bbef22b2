#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"

enum { CHUNK_BYTES = 65536 };

bool pipe_reader_make(pipe_reader *p, size_t limit, bool quotes)
{
    *p = (pipe_reader){.fd = -1, .limit = limit, .quotes = quotes, .buffer = malloc(limit + CHUNK_BYTES)};
    return p->buffer;
}

void pipe_reader_close(pipe_reader *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    p->have = p->used = 0;
    p->at_end = p->skipping = false;
}

void pipe_reader_begin(pipe_reader *p, int fd)
{
    pipe_reader_close(p);
    p->fd = fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

void pipe_reader_free(pipe_reader *p)
{
    if (!p->buffer)
        return;
    pipe_reader_close(p);
    free(p->buffer);
    p->buffer = NULL;
}

bool pipe_reader_fill(pipe_reader *p)
{
    if (p->fd < 0 || p->at_end)
        return false;
    memmove(p->buffer, p->buffer + p->used, p->have - p->used);
    p->have -= p->used;
    p->used = 0;
    ssize_t n = read(p->fd, p->buffer + p->have, p->limit + CHUNK_BYTES - p->have);
    p->at_end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    p->have += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Up to the end of the line; true when it was found. */
static bool skip(pipe_reader *p)
{
    const char *data = p->buffer + p->used, *end = memchr(data, '\n', p->have - p->used);
    p->used += end ? (size_t)(end - data) + 1 : p->have - p->used;
    p->skipping = !end && !p->at_end;
    p->too_long += !p->skipping;
    return !p->skipping;
}

bool pipe_reader_cut(pipe_reader *p, const char **record, size_t *len)
{
    size_t taken = 0;
    for (;;) {
        if (p->skipping && !skip(p))
            return false;
        if (p->have == p->used)
            return false;
        const char *data = p->buffer + p->used;
        record_cut cut = record_find(data, p->have - p->used, p->quotes, p->at_end, p->limit, len, &taken);
        if (cut == RECORD_MORE)
            return false;
        if (cut == RECORD_LONG) {
            p->skipping = true;
            continue;
        }
        *record = data; /* one with a quote that is never closed too: the decoder says so */
        p->used += taken;
        if (*len)
            return true;
    }
}
