/* One stack of free buffers a power of two; a free buffer's first bytes are the link. */
#include "serve/body_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

enum { SMALLEST = 12, CLASSES = 20 }; /* 4 KiB … 2 GiB */

typedef struct spare {
    struct spare *next;
} spare;

struct body_pool {
    size_t limit, in_use, kept_limit, kept;
    spare *spares[CLASSES];
};

body_pool *body_pool_create(size_t limit, size_t kept)
{
    body_pool *p = memory_zero(1, sizeof *p);
    p->limit = limit;
    p->kept_limit = kept;
    return p;
}

void body_pool_free(body_pool *p)
{
    if (!p)
        return;
    assert(p->in_use == 0);
    for (unsigned i = 0; i < CLASSES; i++)
        while (p->spares[i]) {
            spare *s = p->spares[i];
            p->spares[i] = s->next;
            free(s);
        }
    free(p);
}

static unsigned class_of(size_t size)
{
    unsigned c = 0;
    while (c < CLASSES && ((size_t)1 << (SMALLEST + c)) < size + 1)
        c++;
    return c;
}

bool body_pool_take(body_pool *p, size_t size, body_buffer *out)
{
    assert(!out->data);
    unsigned c = class_of(size);
    size_t cap = (size_t)1 << (SMALLEST + c);
    if (c == CLASSES || cap > p->limit - p->in_use)
        return false;
    spare *s = p->spares[c];
    if (s) {
        p->spares[c] = s->next;
        p->kept -= cap;
    }
    p->in_use += cap;
    *out = (body_buffer){.data = s ? (char *)s : memory_alloc(cap), .cap = cap};
    out->data[0] = 0;
    return true;
}

bool body_pool_append(body_pool *p, body_buffer *b, const void *data, size_t len)
{
    if (b->cap - b->len <= len) {
        body_buffer larger = {0};
        if (!body_pool_take(p, b->len + len, &larger))
            return false;
        if (b->len)
            memcpy(larger.data, b->data, b->len);
        larger.len = b->len;
        body_pool_give(p, b);
        *b = larger;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = 0;
    return true;
}

void body_pool_give(body_pool *p, body_buffer *b)
{
    if (!b->data)
        return;
    assert(p->in_use >= b->cap);
    p->in_use -= b->cap;
    unsigned c = class_of(b->cap - 1);
    if (p->kept + b->cap <= p->kept_limit) {
        spare *s = (spare *)(void *)b->data;
        s->next = p->spares[c];
        p->spares[c] = s;
        p->kept += b->cap;
    } else {
        free(b->data);
    }
    *b = (body_buffer){0};
}
