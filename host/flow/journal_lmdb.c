#include "flow/journal_lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/text.h"
#include "flow/journal_crc.h"

#define MAIN_KEYS 8
#define ROOM_STEP ((uint64_t)4 << 20)  /* disk space is taken in */
#define PART_COST (JOURNAL_PAGE + 64U) /* its page and its place in the tree */

bool store_code_is_full(int code)
{
    return code == STORE_DISK_SHORT || code == MDB_MAP_FULL || code == MDB_TXN_FULL || code == ENOSPC ||
           code == EDQUOT || code == EFBIG;
}

status_class store_status(status *st, int code, const char *what)
{
    if (code == STORE_DISK_SHORT) {
        status_set(st, STATUS_LIMIT, "journal: %s: its disk is nearly full", what);
        return status_hint(st, "free disk space; journal.keep_free says how much must be left");
    }
    if (store_code_is_full(code)) {
        status_set(st, STATUS_LIMIT, "journal: %s: %s", what,
                   code == MDB_MAP_FULL ? "the journal is full" : mdb_strerror(code));
        return status_hint(st, "free disk space, or raise journal.size");
    }
    return status_set(st, STATUS_UNAVAILABLE, "journal: %s: %s", what, mdb_strerror(code));
}

static int open_tables(journal_store *s)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (code)
        return code;
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } tables[] = {{NULL, &s->main},         {"records", &s->records}, {"streams", &s->streams},
                  {"cursors", &s->cursors}, {"keys", &s->keys},       {"expiry", &s->expiry}};
    for (size_t i = 0; i < sizeof tables / sizeof *tables && code == 0; i++)
        code = mdb_dbi_open(txn, tables[i].name, tables[i].name ? MDB_CREATE : 0, tables[i].dbi);
    if (code) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

status_class store_open(journal_store *s, const char *folder, uint64_t size_bytes, status *st)
{
    *s = (journal_store){.size_pages = size_bytes / JOURNAL_PAGE, .lock_fd = -1};
    int code = mdb_env_create(&s->env);
    if (code)
        return store_status(st, code, "open");
    code = mdb_env_set_maxdbs(s->env, MAIN_KEYS);
    if (code == 0)
        code = mdb_env_set_mapsize(s->env, s->size_pages * JOURNAL_PAGE);
    if (code == 0)
        code = mdb_env_open(s->env, folder,
                            MDB_NOTLS | MDB_NORDAHEAD | (fault_active("sync") ? MDB_NOSYNC : 0), 0600);
    if (code == 0)
        code = open_tables(s);
    if (code == 0)
        return STATUS_OK;
    store_status(st, code, "open");
    store_close(s);
    return st->class;
}

void store_close(journal_store *s)
{
    if (!s->env)
        return;
    store_release_pages(s);
    mdb_env_close(s->env);
    s->env = NULL;
    if (s->lock_fd >= 0)
        close(s->lock_fd);
}

/* ---- pages that are left alone ---- */

enum { LOCK_MAGIC = (int)0xBEEFC0DE, READERS_AT = 128 };

typedef struct reader_slot { /* of LMDB's lock file, one for each reading transaction */
    uint64_t transaction;
    int32_t pid, pad;
    uint64_t others[6];
} reader_slot;

/* LMDB takes again the pages that were freed before the oldest transaction that somebody reads. Ours says
 * that it is the first there ever was. */
static bool pretend_oldest(MDB_txn *txn, void *lock, size_t len)
{
    uint32_t magic;
    reader_slot *ours = NULL;
    unsigned found = 0;
    memcpy(&magic, lock, sizeof magic);
    for (size_t at = READERS_AT; magic == (uint32_t)LOCK_MAGIC && at + sizeof *ours <= len;
         at += sizeof *ours) {
        reader_slot *slot = (void *)((char *)lock + at);
        if (slot->pid != getpid() || slot->transaction != mdb_txn_id(txn))
            continue;
        ours = slot;
        found++;
    }
    if (found != 1)
        return false;
    ours->transaction = 1;
    return true;
}

bool store_hold_pages(journal_store *s, const char *folder)
{
    text path = {0};
    struct stat size;
    bool held = false;
    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->held) != 0)
        return false;
    text_printf(&path, "%s/lock.mdb", folder);
    s->lock_fd = open(path.data, O_RDWR | O_CLOEXEC);
    text_free(&path);
    if (s->lock_fd >= 0 && fstat(s->lock_fd, &size) == 0 && size.st_size > READERS_AT) {
        size_t len = (size_t)size.st_size;
        void *lock = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, s->lock_fd, 0);
        held = lock != MAP_FAILED && pretend_oldest(s->held, lock, len);
        if (lock != MAP_FAILED)
            munmap(lock, len);
    }
    if (!held)
        store_release_pages(s);
    return held;
}

void store_release_pages(journal_store *s)
{
    if (s->held)
        mdb_txn_abort(s->held);
    s->held = NULL;
}

void store_doubt(journal_store *s, journal_doubts *doubts)
{
    mdb_env_set_userctx(s->env, doubts);
}

bool store_may_touch(MDB_cursor *records, const record_key *from, const record_key *to)
{
    uint8_t first[RECORD_KEY_BYTES], last[RECORD_KEY_BYTES];
    journal_doubts *doubts = mdb_env_get_userctx(mdb_txn_env(mdb_cursor_txn(records)));
    if (!doubts)
        return true;
    record_key_write(from, first);
    record_key_write(to, last);
    return journal_doubts_sound(doubts, (page_bytes){first, sizeof first}, (page_bytes){last, sizeof last});
}

/* ---- room ---- */

static int allocate(int fd, uint64_t from, uint64_t to)
{
    while (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) != 0)
        if (errno != EINTR)
            return errno;
    return 0;
}

int store_make_room(journal_store *s, uint64_t bytes)
{
    MDB_envinfo info;
    mdb_filehandle_t fd;
    uint64_t size = s->size_pages * JOURNAL_PAGE;
    bytes = bytes < size ? bytes : size;
    if (bytes <= s->room_bytes || mdb_env_info(s->env, &info) != 0 || mdb_env_get_fd(s->env, &fd) != 0)
        return 0;
    uint64_t written = (info.me_last_pgno + 1) * JOURNAL_PAGE;
    s->room_bytes = s->room_bytes > written ? s->room_bytes : written;
    if (bytes <= s->room_bytes)
        return 0;
    uint64_t step = bytes - bytes % ROOM_STEP + ROOM_STEP;
    step = step < size ? step : size;
    int code = allocate(fd, s->room_bytes, step);
    if (store_code_is_full(code))
        code = allocate(fd, s->room_bytes, step = bytes);
    if (store_code_is_full(code))
        return code;
    s->room_bytes = code ? UINT64_MAX : step;
    return 0;
}

uint64_t store_used_pages(const journal_store *s, MDB_txn *txn)
{
    const MDB_dbi tables[] = {0, s->main, s->records, s->streams, s->cursors, s->keys, s->expiry};
    uint64_t pages = 2; /* the two meta pages */
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        MDB_stat stat;
        if (mdb_stat(txn, tables[i], &stat) == 0)
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return pages;
}

/* ---- keys ---- */

static void put_big_endian(uint8_t *out, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static uint64_t get_big_endian(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

void record_key_write(const record_key *k, uint8_t out[RECORD_KEY_BYTES])
{
    put_big_endian(out, k->stream, 4);
    out[4] = k->lane;
    put_big_endian(out + 5, k->seq, 8);
    put_big_endian(out + 13, k->part, 2);
}

bool record_key_read(const MDB_val *v, record_key *out)
{
    const uint8_t *p = v->mv_data;
    if (v->mv_size != RECORD_KEY_BYTES)
        return false;
    *out = (record_key){.stream = (uint32_t)get_big_endian(p, 4),
                        .lane = p[4],
                        .seq = get_big_endian(p + 5, 8),
                        .part = (uint16_t)get_big_endian(p + 13, 2)};
    return true;
}

size_t store_name_key(uint8_t *out, uint32_t wid, const char *name)
{
    size_t len = strlen(name);
    put_big_endian(out, wid, STORE_NAME_BYTES);
    memcpy(out + STORE_NAME_BYTES, name, len + 1);
    return STORE_NAME_BYTES + len;
}

/* ---- values ---- */

int store_put(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void *head, size_t head_len,
              const void *data, size_t len)
{
    MDB_val k = {key_len, (void *)key}, v = {4 + head_len + len, NULL};
    int code = mdb_put(txn, dbi, &k, &v, MDB_RESERVE);
    if (code)
        return code;
    uint32_t crc = journal_crc(journal_crc(journal_crc(0, key, key_len), head, head_len), data, len);
    char *out = v.mv_data;
    memcpy(out, &crc, 4);
    if (head_len)
        memcpy(out + 4, head, head_len);
    if (len)
        memcpy(out + 4 + head_len, data, len);
    return 0;
}

bool store_check(const MDB_val *key, const MDB_val *value, const void **data_out, size_t *len_out)
{
    uint32_t crc;
    if (value->mv_size < 4)
        return false;
    memcpy(&crc, value->mv_data, 4);
    *data_out = (const char *)value->mv_data + 4;
    *len_out = value->mv_size - 4;
    return fault_active("crc") ||
           crc == journal_crc(journal_crc(0, key->mv_data, key->mv_size), *data_out, *len_out);
}

int store_get(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, const void **data_out,
              size_t *len_out)
{
    MDB_val k = {key_len, (void *)key}, v;
    int code = mdb_get(txn, dbi, &k, &v);
    if (code)
        return code;
    return store_check(&k, &v, data_out, len_out) ? 0 : MDB_CORRUPTED;
}

enum { PAGE_HEAD = 16, NODE_MAX = 2038, NODE_HEAD = 8, FLAG_OVERFLOW = 4 }; /* of LMDB's pages */

void store_find_map(journal_store *s)
{
    MDB_txn *txn;
    char name[] = "next_row";
    MDB_val k = {sizeof name - 1, name}, v;
    uint64_t page;
    if (mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    if (mdb_get(txn, s->main, &k, &v) == 0) {
        const char *head = (const char *)v.mv_data - (uintptr_t)v.mv_data % JOURNAL_PAGE;
        memcpy(&page, head, sizeof page);
        s->map = head - page * JOURNAL_PAGE;
    }
    mdb_txn_abort(txn);
}

bool store_part_is_sound(const journal_store *s, const MDB_val *value)
{
    uint64_t page;
    uint16_t flags;
    uint32_t pages;
    if (NODE_HEAD + RECORD_KEY_BYTES + value->mv_size <= NODE_MAX || !s->map)
        return true; /* it lies in the leaf */
    const char *head = (const char *)value->mv_data - PAGE_HEAD;
    memcpy(&page, head, sizeof page);
    memcpy(&flags, head + 10, sizeof flags);
    memcpy(&pages, head + 12, sizeof pages);
    return page == (uint64_t)(head - s->map) / JOURNAL_PAGE && flags == FLAG_OVERFLOW && pages == 1;
}

static uint32_t store_record_parts(size_t len)
{
    return (uint32_t)((len + PART_DATA - 1) / PART_DATA);
}

uint64_t store_record_cost(size_t len)
{
    size_t rest = len % PART_DATA; /* up to half a page it shares one, beyond it has one */
    return (uint64_t)(len / PART_DATA) * PART_COST + (rest > JOURNAL_PAGE / 2 - 64 ? PART_COST : rest + 64);
}

int store_put_record(MDB_cursor *records, record_key key, const void *data, size_t len)
{
    const char *p = data;
    uint32_t parts = store_record_parts(len);
    assert(parts >= 1 && parts <= UINT16_MAX);
    record_key last = key;
    last.part = (uint16_t)(parts - 1);
    if (!store_may_touch(records, &key, &last))
        return MDB_CORRUPTED;
    for (uint32_t part = 0; part < parts; part++) {
        uint8_t bytes[RECORD_KEY_BYTES];
        size_t n = len < PART_DATA ? len : PART_DATA;
        key.part = (uint16_t)part;
        record_key_write(&key, bytes);
        MDB_val k = {sizeof bytes, bytes}, v = {4 + n, NULL};
        int code = mdb_cursor_put(records, &k, &v, MDB_RESERVE);
        if (code)
            return code;
        uint32_t crc = journal_crc(journal_crc(0, bytes, sizeof bytes), p, n);
        memcpy(v.mv_data, &crc, 4);
        memcpy((char *)v.mv_data + 4, p, n);
        p += n;
        len -= n;
    }
    return 0;
}
