/* A pushed answer over a pulled one: a bounded buffer between a producer on any thread and MHD on the loop.
 */
#include <pthread.h>
#include <string.h>

#include "serve/http_private.h"

enum { STREAM_MAGIC = 0x4E7B0005, STREAM_ROOM = 256 << 10 };

struct http_stream {
    uint32_t magic;
    pthread_mutex_t lock;
    pthread_cond_t room;
    text buffer;
    size_t taken; /* of the buffer's beginning */
    bool ended, whole, gone;
    unsigned references; /* producer, server */
    http_puller *puller;
};

static void release(http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned left = --s->references;
    pthread_mutex_unlock(&s->lock);
    if (left)
        return;
    http_puller_release(s->puller);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->room);
    text_free(&s->buffer);
    s->magic = 0;
    free(s);
}

/* What was taken is given back before it outgrows what waits: a client that is never quite up to date must
 * not keep all that it has read. */
static void forget_taken(http_stream *s)
{
    size_t left = s->buffer.len - s->taken;
    if (left && (s->taken < STREAM_ROOM || s->taken < left))
        return;
    memmove(s->buffer.data, s->buffer.data + s->taken, left);
    s->buffer.len = left;
    s->taken = 0;
}

static ssize_t on_pull(void *arg, char *out, size_t size)
{
    http_stream *s = CHECKED(http_stream, STREAM_MAGIC, arg);
    pthread_mutex_lock(&s->lock);
    size_t left = s->buffer.len - s->taken;
    ssize_t n = (ssize_t)(left < size ? left : size);
    if (n) {
        memcpy(out, s->buffer.data + s->taken, (size_t)n);
        s->taken += (size_t)n;
        forget_taken(s);
        if (s->buffer.len < STREAM_ROOM)
            pthread_cond_signal(&s->room);
    } else if (s->ended) {
        n = s->whole ? HTTP_PULL_END : HTTP_PULL_FAIL;
    } else {
        n = s->gone ? HTTP_PULL_FAIL : HTTP_PULL_WAIT;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

static void on_end(void *arg)
{
    http_stream *s = CHECKED(http_stream, STREAM_MAGIC, arg);
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    pthread_cond_signal(&s->room);
    pthread_mutex_unlock(&s->lock);
    release(s);
}

http_stream *http_answer_stream(http_request *r, int status, const char *type)
{
    http_stream *s = memory_zero(1, sizeof *s);
    s->magic = STREAM_MAGIC;
    s->references = 2;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->room, NULL);
    s->puller = http_answer_pull(r, status, type, on_pull, on_end, s);
    return s;
}

bool http_stream_write(http_stream *s, const void *data, size_t len)
{
    const char *at = data;
    pthread_mutex_lock(&s->lock);
    while (len && !s->gone) {
        while (s->buffer.len >= STREAM_ROOM && !s->gone)
            pthread_cond_wait(&s->room, &s->lock);
        size_t room = STREAM_ROOM > s->buffer.len ? STREAM_ROOM - s->buffer.len : 0;
        size_t n = len < room ? len : room;
        if (s->gone || !n)
            break;
        text_add_n(&s->buffer, at, n);
        at += n;
        len -= n;
        http_pull_wake(s->puller);
    }
    bool there = !s->gone;
    pthread_mutex_unlock(&s->lock);
    return there;
}

bool http_stream_offer(http_stream *s, const void *data, size_t len)
{
    pthread_mutex_lock(&s->lock);
    if (!s->gone && s->buffer.len - s->taken + len > HTTP_STREAM_OFFER_ROOM)
        s->gone = true; /* the next pull cuts it off */
    bool there = !s->gone;
    if (there)
        text_add_n(&s->buffer, data, len);
    pthread_mutex_unlock(&s->lock);
    http_pull_wake(s->puller);
    return there;
}

size_t http_stream_waiting(http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->buffer.len - s->taken;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void http_stream_end(http_stream *s, bool whole)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    s->whole = whole;
    pthread_mutex_unlock(&s->lock);
    http_pull_wake(s->puller);
    release(s);
}
