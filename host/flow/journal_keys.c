/* Idempotency-Keys, which are written with the records that they stand for and forgotten after a day, and the
 * cursors of sources: small values under a workspace and a name. */
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "flow/journal_state.h"

/* ---- writing ---- */

#define EXPIRY_KEY_MAX (8 + 4 + JOURNAL_KEY_MAX)

static size_t expiry_key(uint8_t out[EXPIRY_KEY_MAX], int64_t created_us, const uint8_t *key, size_t len)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)((uint64_t)created_us >> (56 - 8 * i));
    memcpy(out + 8, key, len);
    return 8 + len;
}

static int forget_key(journal *j, MDB_txn *txn, int64_t created_us, const uint8_t *key, size_t len)
{
    uint8_t bytes[EXPIRY_KEY_MAX];
    MDB_val k = {expiry_key(bytes, created_us, key, len), bytes};
    int code = mdb_del(txn, j->store.expiry, &k, NULL);
    if (code && code != MDB_NOTFOUND)
        return code;
    k = (MDB_val){len, (void *)key};
    code = mdb_del(txn, j->store.keys, &k, NULL);
    return code == MDB_NOTFOUND ? 0 : code;
}

/* Sets s->key_taken if somebody was first. */
int key_write(journal *j, MDB_txn *txn, submission *s, int64_t now_us)
{
    const void *data;
    size_t len;
    int64_t created_us;
    int code = store_get(txn, j->store.keys, s->idem_key, s->idem_key_len, &data, &len);
    if (code == 0 && len >= sizeof created_us && !fault_active("key")) {
        memcpy(&created_us, data, sizeof created_us);
        if (now_us - created_us < JOURNAL_KEY_LIFE_US) {
            s->key_taken = true;
            return 0;
        }
        code = forget_key(j, txn, created_us, s->idem_key, s->idem_key_len);
    }
    if (code && code != MDB_NOTFOUND && code != MDB_CORRUPTED)
        return code;
    uint8_t bytes[EXPIRY_KEY_MAX];
    size_t n = expiry_key(bytes, now_us, s->idem_key, s->idem_key_len);
    code = store_put(txn, j->store.expiry, bytes, n, NULL, 0, NULL, 0);
    if (code)
        return code;
    return store_put(txn, j->store.keys, s->idem_key, s->idem_key_len, &now_us, sizeof now_us, s->verdict,
                     s->verdict_len);
}

int keys_expire(journal *j, MDB_txn *txn, int64_t now_us)
{
    MDB_cursor *c;
    MDB_val k, v;
    int code = mdb_cursor_open(txn, j->store.expiry, &c);
    if (code)
        return code;
    for (unsigned i = 0; i < JOURNAL_EXPIRE_MAX && code == 0; i++) {
        uint8_t bytes[EXPIRY_KEY_MAX];
        int64_t created_us = 0;
        if (mdb_cursor_get(c, &k, &v, MDB_FIRST) != 0 || k.mv_size < 12 || k.mv_size > sizeof bytes)
            break;
        memcpy(bytes, k.mv_data, k.mv_size);
        for (int b = 0; b < 8; b++)
            created_us = created_us << 8 | bytes[b];
        if (now_us - created_us < JOURNAL_KEY_LIFE_US)
            break;
        code = forget_key(j, txn, created_us, bytes + 8, k.mv_size - 8);
    }
    mdb_cursor_close(c);
    return code;
}

/* ---- reading ---- */

static int get_copy(journal *j, bool of_keys, uint32_t wid, const char *name, arena *a, const void **data_out,
                    size_t *len_out, status *st)
{
    uint8_t key[STORE_NAME_BYTES + JOURNAL_KEY_MAX + 1];
    MDB_txn *txn = NULL;
    const void *data;
    size_t len;
    if (strlen(name) > JOURNAL_KEY_MAX)
        return MDB_NOTFOUND;
    if (journal_begin_read(j, &txn, st) != STATUS_OK)
        return MDB_PANIC;
    int code = store_get(txn, of_keys ? j->store.keys : j->store.cursors, key, store_name_key(key, wid, name),
                         &data, &len);
    if (code == 0) {
        *data_out = arena_copy(a, data, len);
        *len_out = len;
    }
    journal_end_read(j, txn);
    if (code)
        store_status(st, code, of_keys ? "Idempotency-Key" : "cursor");
    return code;
}

status_class journal_cursor_get(journal *j, uint32_t wid, const char *instance, arena *a,
                                const void **data_out, size_t *len_out, status *st)
{
    int code = get_copy(j, false, wid, instance, a, data_out, len_out, st);
    if (code == MDB_NOTFOUND)
        return status_set(st, STATUS_NOT_FOUND, "journal: no cursor of %s", instance);
    return code ? st->class : STATUS_OK;
}

status_class journal_idempotency_find(journal *j, uint32_t wid, const char *key, arena *a,
                                      const void **verdict_out, size_t *len_out, status *st)
{
    const void *data;
    size_t len;
    int64_t created_us;
    int code = get_copy(j, true, wid, key, a, &data, &len, st);
    if (code && code != MDB_NOTFOUND)
        return st->class;
    if (code == 0 && len >= sizeof created_us) {
        memcpy(&created_us, data, sizeof created_us);
        if (clock_wall_us() - created_us < JOURNAL_KEY_LIFE_US) {
            *verdict_out = (const char *)data + sizeof created_us;
            *len_out = len - sizeof created_us;
            return STATUS_OK;
        }
    }
    return status_set(st, STATUS_NOT_FOUND,
                      "journal: this Idempotency-Key has not been used in the last 24 h");
}
