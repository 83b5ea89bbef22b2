/* The cursor: "mqtt1", form, place (8 bytes), batch (8), count (2), then the held identifiers: as a list of 2
 * bytes each (form 'l') or as the bits of all (form 'b'), whichever is shorter. Then for each other broker of
 * which some are held: place, form, count, identifiers. Numbers big-endian. */
#include "flight.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[5] = {'m', 'q', 't', 't', '1'};
enum { HEAD = 6 + 8 + 8 + 2, SECTION = 8 + 1 + 2, SECTION_MAX = SECTION + 8192, LIST_MAX = 4096 };

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

/* ---- Identifiers ---- */

static size_t ids_len(uint8_t form, size_t count)
{
    return form == 'b' ? sizeof((flight *)0)->held : form == 'l' ? 2 * count : SIZE_MAX / 2;
}

static void take_ids(flight *f, uint8_t form, const uint8_t *ids, size_t len)
{
    for (unsigned id = 1; form == 'b' && id < 65536; id++)
        if (ids[id >> 3] >> (id & 7) & 1)
            hold(f, (uint16_t)id);
    for (size_t at = 0; form == 'l' && at < len; at += 2)
        hold(f, (uint16_t)take(ids + at, 2));
}

static size_t put_ids(const flight *f, uint8_t *form, uint8_t *count, uint8_t *ids)
{
    bool list = f->n_held < LIST_MAX;
    size_t len = 0;
    *form = list ? 'l' : 'b';
    put(count, list ? f->n_held : 0, 2);
    if (!list) {
        memcpy(ids, f->held, sizeof f->held);
        return sizeof f->held;
    }
    for (unsigned id = 1, left = (unsigned)f->n_held; left; id++)
        if (flight_holds(f, (uint16_t)id)) {
            put(ids + len, id, 2);
            len += 2;
            left--;
        }
    return len;
}

/* ---- Other brokers ---- */

/* 0: it is none. */
static size_t section_len(const uint8_t *s, size_t left)
{
    size_t n = left < SECTION ? 0 : SECTION + ids_len(s[8], (size_t)take(s + 9, 2));
    return n <= left ? n : 0;
}

static void drop_section(flight *f, size_t at)
{
    size_t n = section_len(f->parked + at, f->parked_len - at);
    memmove(f->parked + at, f->parked + at + n, f->parked_len - at - n);
    f->parked_len -= n;
}

static size_t count_sections(const flight *f)
{
    size_t n = 0;
    for (size_t at = 0; at < f->parked_len; n++)
        at += section_len(f->parked + at, f->parked_len - at);
    return n;
}

/* The oldest goes when there are more than there can be brokers. */
static bool park(flight *f)
{
    if (!f->n_held)
        return true;
    if (!f->parked)
        f->parked = malloc(FLIGHT_CURSOR_MAX);
    if (!f->parked)
        return false;
    if (count_sections(f) == FLIGHT_PARKED_MAX)
        drop_section(f, 0);
    uint8_t *s = f->parked + f->parked_len;
    put(s, f->place, 8);
    f->parked_len += SECTION + put_ids(f, s + 8, s + 9, s + SECTION);
    flight_forget_held(f);
    return true;
}

/* Takes the section of `place` out; 0: there is none. */
static size_t unpark(flight *f, uint64_t place, uint8_t out[SECTION_MAX])
{
    for (size_t at = 0; at < f->parked_len; at += section_len(f->parked + at, f->parked_len - at)) {
        size_t len = section_len(f->parked + at, f->parked_len - at);
        if (take(f->parked + at, 8) != place)
            continue;
        memcpy(out, f->parked + at, len);
        drop_section(f, at);
        return len;
    }
    return 0;
}

bool flight_move(flight *f, uint64_t place)
{
    uint8_t there[SECTION_MAX];
    f->first = f->n = 0;
    if (f->place == place)
        return true;
    size_t len = unpark(f, place, there);
    if (!park(f))
        return false;
    f->place = place;
    if (len)
        take_ids(f, there[8], there + SECTION, len - SECTION);
    return true;
}

/* ---- The cursor ---- */

static bool is_ours(const uint8_t *c, size_t len)
{
    if (len < HEAD || len > FLIGHT_CURSOR_MAX || memcmp(c, magic, sizeof magic) != 0)
        return false;
    size_t at = HEAD + ids_len(c[5], (size_t)take(c + 22, 2)), sections = 0, n;
    for (; at < len; at += n)
        if (!(n = section_len(c + at, len - at)) || ++sections > FLIGHT_PARKED_MAX)
            return false;
    return at == len;
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
    size_t own = ids_len(c[5], (size_t)take(c + 22, 2));
    f->place = take(c + 6, 8);
    f->batch = take(c + 14, 8) + 1;
    take_ids(f, c[5], c + HEAD, own);
    f->parked_len = len - HEAD - own;
    f->parked = f->parked_len ? malloc(FLIGHT_CURSOR_MAX) : NULL;
    if (f->parked_len && !f->parked)
        return false;
    if (f->parked_len)
        memcpy(f->parked, c + HEAD + own, f->parked_len);
    return flight_move(f, place);
}

size_t flight_cut(flight *f, uint8_t c[FLIGHT_CURSOR_MAX])
{
    memcpy(c, magic, sizeof magic);
    put(c + 6, f->place, 8);
    put(c + 14, f->batch++, 8);
    size_t len = HEAD + put_ids(f, c + 5, c + 22, c + HEAD);
    if (f->parked_len)
        memcpy(c + len, f->parked, f->parked_len);
    return len + f->parked_len;
}

void flight_free(flight *f)
{
    free(f->waiting);
    free(f->parked);
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

bool flight_is_quiet(const flight *f)
{
    return f->first == f->n;
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
