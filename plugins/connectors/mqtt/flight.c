/* The cursor: "mqtt1", form, place (8 bytes), batch (8), count (2), then the held identifiers: as a list of 2
 * bytes each (form 'l') or as the bits of all (form 'b'), whichever is shorter. Numbers big-endian. */
#include "flight.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 6 + 8 + 8 + 2, LIST_MAX = 4096 };

static void put(uint8_t *at, uint64_t value, size_t n)
{
    for (size_t i = n; i--; value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t take(const uint8_t *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

static bool hold(flight *f, uint16_t id)
{
    if (flight_holds(f, id))
        return false;
    f->held[id >> 3] |= (uint8_t)(1u << (id & 7));
    f->n_held++;
    return true;
}

/* ---- The cursor ---- */

static bool is_ours(const uint8_t *c, size_t len)
{
    if (len < HEAD || memcmp(c, "mqtt1", 5) != 0)
        return false;
    return c[5] == 'b' ? len == HEAD + sizeof((flight *)0)->held
                       : c[5] == 'l' && len == HEAD + 2 * (size_t)take(c + 22, 2);
}

bool flight_open(flight *f, uint64_t place, const void *cursor, size_t len)
{
    const uint8_t *c = cursor;
    flight_free(f);
    f->place = place;
    f->batch = 1;
    if (!len)
        return true;
    if (!is_ours(c, len))
        return false;
    f->batch = take(c + 14, 8) + 1;
    if (take(c + 6, 8) != place)
        return true;
    for (unsigned id = 1; c[5] == 'b' && id < 65536; id++)
        if (c[HEAD + (id >> 3)] >> (id & 7) & 1)
            hold(f, (uint16_t)id);
    for (size_t at = HEAD; c[5] == 'l' && at < len; at += 2)
        hold(f, (uint16_t)take(c + at, 2));
    return true;
}

size_t flight_cut(flight *f, uint8_t c[FLIGHT_CURSOR_MAX])
{
    bool list = f->n_held < LIST_MAX;
    size_t len = HEAD;
    memcpy(c, list ? "mqtt1l" : "mqtt1b", 6);
    put(c + 6, f->place, 8);
    put(c + 14, f->batch++, 8);
    put(c + 22, list ? f->n_held : 0, 2);
    if (!list) {
        memcpy(c + len, f->held, sizeof f->held);
        return len + sizeof f->held;
    }
    for (unsigned id = 1, left = (unsigned)f->n_held; left; id++)
        if (flight_holds(f, (uint16_t)id)) {
            put(c + len, id, 2);
            len += 2;
            left--;
        }
    return len;
}

void flight_free(flight *f)
{
    free(f->waiting);
    *f = (flight){0};
}

void flight_forget_held(flight *f)
{
    memset(f->held, 0, sizeof f->held);
    f->n_held = 0;
}

/* ---- Answers ---- */

bool flight_holds(const flight *f, uint16_t id)
{
    return f->held[id >> 3] >> (id & 7) & 1;
}

bool flight_waits(const flight *f, uint16_t id)
{
    for (size_t i = f->first; i < f->n; i++)
        if (f->waiting[i].id == id && f->waiting[i].kind == MQTT_PUBREC)
            return true;
    return false;
}

static bool queue(flight *f, uint8_t kind, uint16_t id)
{
    if (f->n == f->cap && f->first) {
        f->n -= f->first;
        memmove(f->waiting, f->waiting + f->first, f->n * sizeof *f->waiting);
        f->first = 0;
    }
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 256;
        flight_answer *more = cap <= FLIGHT_WAITING_MAX ? realloc(f->waiting, cap * sizeof *more) : NULL;
        if (!more)
            return false;
        f->waiting = more;
        f->cap = cap;
    }
    f->waiting[f->n++] = (flight_answer){f->batch, id, kind};
    return true;
}

bool flight_add(flight *f, uint8_t qos, uint16_t id)
{
    if (qos == 0)
        return true;
    if (!queue(f, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, id))
        return false;
    if (qos == 2)
        hold(f, id);
    return true;
}

bool flight_release(flight *f, uint16_t id)
{
    if (!queue(f, MQTT_PUBCOMP, id))
        return false;
    if (flight_holds(f, id)) {
        f->held[id >> 3] &= (uint8_t) ~(1u << (id & 7));
        f->n_held--;
    }
    return true;
}

bool flight_answer_up_to(flight *f, const void *cursor, size_t len, outgoing *out)
{
    if (!is_ours(cursor, len))
        return false;
    uint64_t batch = take((const uint8_t *)cursor + 14, 8);
    for (; f->first < f->n && f->waiting[f->first].batch <= batch; f->first++)
        outgoing_answer(out, f->waiting[f->first].kind, f->waiting[f->first].id);
    return true;
}
