/* Items are written one after the other; nothing is ever moved, except that an arena that grows takes its
 * bytes along. */
#include "wire/frame.h"

#include <string.h>

typedef struct item_head {
    uint32_t tag, aux;
    uint64_t len;
} item_head;

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

frame_writer frame_writer_arena(wire_arena *a)
{
    return (frame_writer){.arena = a, .data = a->data, .cap = a->size};
}

frame_writer frame_writer_buffer(void *buffer, size_t cap)
{
    return (frame_writer){.data = buffer, .cap = cap};
}

static bool writer_room(frame_writer *w, size_t more)
{
    if (more <= w->cap - w->len)
        return true;
    if (!w->arena || !wire_arena_room(w->arena, w->len + more, w->len))
        return false;
    w->data = w->arena->data;
    w->cap = w->arena->size;
    return true;
}

void *frame_room(frame_writer *w, frame_tag tag, uint32_t aux, size_t len)
{
    size_t need = sizeof(item_head) + padded(len);
    if (w->failed || len > SIZE_MAX / 2 || !writer_room(w, need)) {
        w->failed = true;
        return NULL;
    }
    item_head head = {.tag = tag, .aux = aux, .len = len};
    uint8_t *at = w->data + w->len;
    memcpy(at, &head, sizeof head);
    if (padded(len) > len)
        memset(at + need - 8, 0, 8);
    w->len += need;
    return at + sizeof head;
}

void frame_copy(void *to, const void *from, size_t len)
{
    enum { CHUNK = 4096 };
    uint8_t *at = to;
    const uint8_t *source = from;
    for (; len > CHUNK; len -= CHUNK, at += CHUNK, source += CHUNK)
        memcpy(at, source, CHUNK);
    if (len)
        memcpy(at, source, len);
}

void frame_put(frame_writer *w, frame_tag tag, uint32_t aux, const void *data, size_t len)
{
    void *at = frame_room(w, tag, aux, len);
    if (at)
        frame_copy(at, data, len);
}

void frame_put_text(frame_writer *w, frame_tag tag, const char *text)
{
    if (text)
        frame_put(w, tag, 0, text, strlen(text) + 1);
}

frame_reader frame_reader_make(const void *data, size_t len)
{
    return (frame_reader){.data = data, .len = len};
}

bool frame_next(frame_reader *r, frame_item *out)
{
    item_head head;
    size_t left = r->len - r->at;
    if (r->broken || left == 0)
        return false;
    if (left < sizeof head) {
        r->broken = true;
        return false;
    }
    memcpy(&head, r->data + r->at, sizeof head);
    left -= sizeof head;
    if (head.len > left || padded(head.len) > left) {
        r->broken = true;
        return false;
    }
    *out = (frame_item){
        .tag = head.tag, .aux = head.aux, .data = r->data + r->at + sizeof head, .len = (size_t)head.len};
    r->at += sizeof head + padded((size_t)head.len);
    return true;
}

bool frame_peek(const frame_reader *r, frame_item *out)
{
    frame_reader copy = *r;
    return frame_next(&copy, out);
}

bool frame_take(frame_reader *r, frame_tag tag, frame_item *out)
{
    frame_item next;
    if (!frame_peek(r, &next) || next.tag != (uint32_t)tag)
        return false;
    return frame_next(r, out);
}

const char *frame_item_text(const frame_item *item)
{
    const char *text = item->data;
    return item->len && !text[item->len - 1] ? text : NULL;
}
