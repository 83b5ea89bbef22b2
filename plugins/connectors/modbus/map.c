/* Points are sorted, then neighbours are joined while the gap between them and the whole stay within what was
 * allowed. */
#include "map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    map_type type;
    uint16_t registers;
} types[] = {{"u16", MAP_U16, 1}, {"s16", MAP_S16, 1},      {"u32", MAP_U32, 2}, {"s32", MAP_S32, 2},
             {"u64", MAP_U64, 4}, {"s64", MAP_S64, 4},      {"f32", MAP_F32, 2}, {"f64", MAP_F64, 4},
             {"bit", MAP_BIT, 1}, {"string", MAP_STRING, 0}};
static const char *const tables[] = {"", "coil", "discrete", "holding", "input"};

/* ---- Reading the configuration ---- */

typedef struct entry {
    const pst_host *host;
    char path[64], whole[96];
} entry;

static const char *at(entry *e, const char *key)
{
    snprintf(e->whole, sizeof e->whole, "%s/%s", e->path, key);
    return e->whole;
}

static bool is(entry *e, const char *key, const char *value)
{
    const char *text = e->host->config_text(e->host, at(e, key));
    return text && !strcmp(text, value);
}

static void read_type(entry *e, map_point *p)
{
    p->table = FRAME_HOLDING;
    p->type = MAP_U16;
    p->n = 1;
    for (unsigned t = FRAME_COILS; t <= FRAME_INPUT; t++)
        if (is(e, "table", tables[t]))
            p->table = (frame_table)t;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (is(e, "type", types[i].name)) {
            p->type = types[i].type;
            p->n = types[i].registers;
        }
    if (p->type == MAP_STRING)
        p->n = (uint16_t)e->host->config_int(e->host, at(e, "registers"));
    if (p->table <= FRAME_DISCRETE)
        p->type = MAP_BIT;
    p->bit = (int)e->host->config_int(e->host, at(e, "bit"));
}

static pst_status read_point(entry *e, map_point *p, pst_error *error)
{
    const pst_host *h = e->host;
    read_type(e, p);
    p->name = h->config_text(h, at(e, "name"));
    p->address = (uint16_t)h->config_int(h, at(e, "address"));
    p->low_word_first = is(e, "words", "low_first");
    p->low_byte_first = is(e, "bytes", "low_first");
    p->scaled = h->config_has(h, at(e, "scale")) || h->config_has(h, at(e, "offset"));
    p->scale = h->config_has(h, at(e, "scale")) ? h->config_real(h, at(e, "scale")) : 1;
    p->offset = h->config_real(h, at(e, "offset"));
    if (!p->name || !p->n)
        return pst_fail(error, PST_E_CONFIG, e->path, "a string needs the number of its registers");
    if (p->address + p->n > 65536)
        return pst_fail(error, PST_E_CONFIG, e->path, "it reaches beyond address 65535");
    if (p->scaled && (p->type == MAP_BIT || p->type == MAP_STRING))
        return pst_fail(error, PST_E_CONFIG, e->path, "only numbers are scaled");
    return PST_OK;
}

static pst_status take_group(map *m, int64_t every_us, size_t *out, pst_error *error)
{
    for (*out = 0; *out < m->n_groups; (*out)++)
        if (m->groups[*out].every_us == every_us)
            return PST_OK;
    if (m->n_groups == MAP_GROUPS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/points", "at most %d different every_ms", MAP_GROUPS_MAX);
    m->groups[m->n_groups++].every_us = every_us;
    return PST_OK;
}

static pst_status make_column(const map_point *first, map_point *p, pst_builder *builder, const char *where,
                              pst_error *error)
{
    bool real = p->scaled || p->type == MAP_F32 || p->type == MAP_F64 || p->type == MAP_U64;
    p->column = pst_builder_column(builder, p->name,
                                   p->type == MAP_BIT      ? PST_BOOLEAN
                                   : p->type == MAP_STRING ? PST_TEXT
                                   : real                  ? PST_NUMBER
                                                           : PST_INTEGER);
    if (p->column >= 0)
        return PST_OK;
    for (const map_point *other = first; other < p; other++)
        if (!strcmp(other->name, p->name))
            return pst_fail(error, PST_E_CONFIG, where, "there are two points of the name %.60s", p->name);
    if (!strcmp(p->name, "time") || !strcmp(p->name, "device_id"))
        return pst_fail(error, PST_E_CONFIG, where, "the column %.60s is the connector's own", p->name);
    return pst_fail(error, PST_E_RESOURCE, where, "no memory for the column %.60s", p->name);
}

static pst_status read_points(const pst_host *host, pst_builder *builder, map *m, pst_error *error)
{
    entry e = {.host = host};
    int64_t usual = host->config_int(host, "/every_ms");
    m->n_points = host->config_count(host, "/points");
    if (m->n_points > MAP_POINTS_MAX)
        return pst_fail(error, PST_E_CONFIG, "/points", "at most %d points", MAP_POINTS_MAX);
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < m->n_points; i++) {
        map_point *p = &m->points[i];
        snprintf(e.path, sizeof e.path, "/points/%zu", i);
        st = read_point(&e, p, error);
        int64_t own = host->config_int(host, at(&e, "every_ms"));
        if (!st)
            st = take_group(m, (own ? own : usual) * 1000, &p->group, error);
        if (!st)
            st = make_column(m->points, p, builder, e.path, error);
    }
    return st;
}

/* ---- Requests ---- */

static int by_place(const void *one, const void *two)
{
    const map_point *a = one, *b = two;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    return a->address < b->address ? -1 : a->address > b->address;
}

/* Takes the point into the block, if what is read for nothing and the whole stay small enough. */
static bool join(map_block *b, const map_point *p, unsigned gap, unsigned most)
{
    unsigned end = (unsigned)b->from + b->n, own_end = (unsigned)p->address + p->n;
    unsigned whole = (own_end > end ? own_end : end) - b->from;
    if (p->table != b->table || p->address > end + gap || whole > most)
        return false;
    b->n = (uint16_t)whole;
    b->end++;
    return true;
}

static void make_blocks(map *m, unsigned gap, unsigned registers)
{
    for (size_t i = 0; i < m->n_points; i++) {
        const map_point *p = &m->points[i];
        bool bits = p->table <= FRAME_DISCRETE, begins = i == 0 || m->points[i - 1].group != p->group;
        map_group *g = &m->groups[p->group];
        if (begins)
            g->first = g->end = m->n_blocks;
        if (begins ||
            !join(&m->blocks[m->n_blocks - 1], p, bits ? gap * 16 : gap, bits ? FRAME_BITS_MAX : registers)) {
            m->blocks[m->n_blocks++] = (map_block){p->table, p->address, p->n, i, i + 1};
            g->end = m->n_blocks;
        }
    }
}

pst_status map_read(const pst_host *host, pst_builder *builder, map *m, pst_error *error)
{
    unsigned registers = (unsigned)host->config_int(host, "/max_registers");
    memset(m, 0, sizeof *m);
    pst_status st = read_points(host, builder, m, error);
    for (size_t i = 0; !st && i < m->n_points; i++)
        if (m->points[i].table > FRAME_DISCRETE && m->points[i].n > registers)
            st = pst_fail(error, PST_E_CONFIG, "/max_registers", "%.60s alone has %u registers",
                          m->points[i].name, (unsigned)m->points[i].n);
    if (st)
        return st;
    qsort(m->points, m->n_points, sizeof m->points[0], by_place);
    make_blocks(m, (unsigned)host->config_int(host, "/gap"), registers);
    return PST_OK;
}

/* ---- Values ---- */

/* The registers as one number, most significant first. */
static uint64_t number_of(const map_point *p, const uint8_t *words)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < p->n; i++) {
        const uint8_t *w = words + 2 * (p->low_word_first ? p->n - 1u - i : i);
        value = value << 16 | (uint64_t)(p->low_byte_first ? w[1] << 8 | w[0] : w[0] << 8 | w[1]);
    }
    return value;
}

static bool set_real(const map_point *p, double value, pst_builder *builder)
{
    if (!isfinite(value))
        return false;
    pst_builder_set_real(builder, p->column, value * p->scale + p->offset);
    return true;
}

static bool set_text(const map_point *p, const uint8_t *words, pst_builder *builder)
{
    char text[2 * FRAME_REGISTERS_MAX + 1] = {0};
    size_t len = 0;
    for (unsigned i = 0; i < 2u * p->n; i++) {
        char c = (char)words[p->low_byte_first ? i ^ 1 : i];
        if (!c)
            break;
        text[len++] = c;
    }
    while (len && text[len - 1] == ' ')
        len--;
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    pst_builder_set_bytes(builder, p->column, text, len);
    return true;
}

static bool set_float(const map_point *p, uint64_t bits, pst_builder *builder)
{
    uint32_t low = (uint32_t)bits;
    float single;
    double value;
    memcpy(&single, &low, sizeof single);
    memcpy(&value, &bits, sizeof value);
    return set_real(p, p->type == MAP_F32 ? (double)single : value, builder);
}

static bool set_integer(const map_point *p, uint64_t bits, pst_builder *builder)
{
    int64_t value = p->type == MAP_S16 ? (int16_t)bits : p->type == MAP_S32 ? (int32_t)bits : (int64_t)bits;
    if (p->type == MAP_U64)
        return set_real(p, (double)bits, builder);
    if (p->scaled)
        return set_real(p, (double)value, builder);
    pst_builder_set_int(builder, p->column, value);
    return true;
}

bool map_set(const map_point *p, const map_block *b, const uint8_t *data, pst_builder *builder)
{
    unsigned offset = (unsigned)p->address - b->from;
    const uint8_t *words = data + 2 * offset;
    if (b->table <= FRAME_DISCRETE) {
        pst_builder_set_flag(builder, p->column, data[offset / 8] >> (offset % 8) & 1);
        return true;
    }
    switch (p->type) {
    case MAP_BIT:
        pst_builder_set_flag(builder, p->column, number_of(p, words) >> p->bit & 1);
        return true;
    case MAP_STRING:
        return set_text(p, words, builder);
    case MAP_F32:
    case MAP_F64:
        return set_float(p, number_of(p, words), builder);
    default:
        return set_integer(p, number_of(p, words), builder);
    }
}
