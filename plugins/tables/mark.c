/* Written as numbers in the machine's order: a cursor is read by the same machine's kind that wrote it. */
#include "mark.h"

#include <string.h>

#define MARK_VERSION 0x314b524dU /* "MRK1" */

typedef struct reader {
    const uint8_t *at;
    size_t left;
    bool ok;
} reader;

static void take(reader *r, void *out, size_t len)
{
    r->ok = r->ok && len <= r->left;
    if (!r->ok || !len)
        return;
    memcpy(out, r->at, len);
    r->at += len;
    r->left -= len;
}

bool mark_read(mark *m, pst_bytes bytes)
{
    reader r = {bytes.data, bytes.len, true};
    uint32_t version = 0, crowded = 0, key_len = 0;
    memset(m, 0, sizeof *m);
    if (!bytes.len)
        return true;
    take(&r, &version, sizeof version);
    take(&r, m->column, sizeof m->column);
    take(&r, &crowded, sizeof crowded);
    take(&r, &m->value_len, sizeof m->value_len);
    take(&r, &m->n_keys, sizeof m->n_keys);
    take(&r, &m->n_seen, sizeof m->n_seen);
    r.ok = r.ok && version == MARK_VERSION && m->value_len <= MARK_VALUE_MAX && m->n_keys <= MARK_KEYS_MAX &&
           m->n_seen <= MARK_SEEN_MAX && !m->column[sizeof m->column - 1];
    take(&r, m->key_lens, r.ok ? m->n_keys * sizeof *m->key_lens : 0);
    for (uint32_t i = 0; r.ok && i < m->n_keys; i++) {
        r.ok = m->key_lens[i] <= MARK_KEY_MAX - key_len;
        key_len += r.ok ? m->key_lens[i] : 0;
    }
    take(&r, m->value, r.ok ? m->value_len : 0);
    take(&r, m->key, r.ok ? key_len : 0);
    take(&r, m->seen, r.ok ? m->n_seen * sizeof *m->seen : 0);
    m->crowded = crowded;
    return r.ok && !r.left;
}

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
    if (len)
        memcpy(at, data, len);
    return at + len;
}

size_t mark_write(const mark *m, uint8_t out[MARK_TEXT_MAX])
{
    uint32_t version = MARK_VERSION, crowded = m->crowded, key_len = 0;
    uint8_t *at = out;
    for (uint32_t i = 0; i < m->n_keys; i++)
        key_len += m->key_lens[i];
    at = put(at, &version, sizeof version);
    at = put(at, m->column, sizeof m->column);
    at = put(at, &crowded, sizeof crowded);
    at = put(at, &m->value_len, sizeof m->value_len);
    at = put(at, &m->n_keys, sizeof m->n_keys);
    at = put(at, &m->n_seen, sizeof m->n_seen);
    at = put(at, m->key_lens, m->n_keys * sizeof *m->key_lens);
    at = put(at, m->value, m->value_len);
    at = put(at, m->key, key_len);
    at = put(at, m->seen, m->n_seen * sizeof *m->seen);
    return (size_t)(at - out);
}

static uint64_t hash_byte(uint64_t h, uint8_t byte, uint64_t factor)
{
    h = (h ^ byte) * factor;
    return h ^ (h >> 29);
}

static uint64_t hash(const driver_value *values, size_t n, uint64_t h, uint64_t factor)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t len = values[i].data ? values[i].len + 1 : 0; /* so that a|bc is not ab|c, nor null empty */
        for (unsigned shift = 0; shift < 64; shift += 8)
            h = hash_byte(h, (uint8_t)(len >> shift), factor);
        for (size_t k = 0; values[i].data && k < values[i].len; k++)
            h = hash_byte(h, (uint8_t)values[i].data[k], factor);
    }
    return h;
}

mark_row mark_row_of(const driver_value *values, size_t n)
{
    return (mark_row){hash(values, n, 0xcbf29ce484222325U, 0x9e3779b97f4a7c15U),
                      hash(values, n, 0x84222325cbf29ce4U, 0xff51afd7ed558ccdU)};
}

bool mark_is_at(const mark *m, driver_value value)
{
    return value.len == m->value_len && !memcmp(value.data, m->value, value.len);
}

bool mark_take(mark_row *list, uint32_t *n, mark_row row)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i].a != row.a || list[i].b != row.b)
            continue;
        list[i] = list[--*n];
        return true;
    }
    return false;
}

static bool keep_key(mark *m, const driver_value *keys, size_t n)
{
    size_t len = 0;
    m->n_keys = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].len > MARK_KEY_MAX - len)
            return false;
        if (keys[i].len)
            memcpy(m->key + len, keys[i].data, keys[i].len);
        m->key_lens[i] = (uint32_t)keys[i].len;
        len += keys[i].len;
    }
    return true;
}

bool mark_move(mark *m, driver_value value, const driver_value *keys, size_t n_keys, mark_row row)
{
    if (value.len > MARK_VALUE_MAX || n_keys > MARK_KEYS_MAX)
        return false;
    if (!mark_is_at(m, value)) {
        memcpy(m->value, value.data, value.len);
        m->value_len = (uint32_t)value.len;
        m->n_seen = 0;
        m->crowded = false;
    }
    if (m->n_seen < MARK_SEEN_MAX)
        m->seen[m->n_seen++] = row;
    else
        m->crowded = true;
    return keep_key(m, keys, n_keys);
}

driver_value mark_key(const mark *m, uint32_t index)
{
    size_t at = 0;
    for (uint32_t i = 0; i < index; i++)
        at += m->key_lens[i];
    return (driver_value){m->key + at, m->key_lens[index]};
}
