/* The catalog is a list of records, one a file, each with the entry that its content gave. A scan compares
 * size, time and inode; only a file that changed is read, hashed, copied and probed, outside the lock. A file
 * that is still being written gives a broken entry for a moment and is read again when it changed. */
#include "plugin/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/name.h"
#include "plugin/entry.h"
#include "plugin/probe.h"
#include "plugin/watch.h"

enum { HASH_BYTES = 32, PATH_BYTES = 4096, FILES_MAX = 1000 };

typedef struct record {
    char *file;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    bool seen; /* in this scan */
    const plugin_entry *entry;
} record;

struct catalog {
    char *folders[PLUGIN_FOLDERS_MAX];
    size_t n_folders;
    char *store, *program, *user;
    nursery *spawner;
    pthread_mutex_t scanning; /* one scan at a time */
    pthread_mutex_t lock;     /* of the records; never held while something blocks */
    record *records;          /* ordered by file */
    size_t n, cap;
    watch *watch;
    void (*on_change)(void *arg);
    void *on_change_arg;
};

/* ---- One file ---- */

static void hash_hex(const text *bytes, char out[2 * HASH_BYTES + 1])
{
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes->data, bytes->len, NULL, 0);
    sodium_bin2hex(out, 2 * HASH_BYTES + 1, hash, sizeof hash);
}

/* The copy in the generation store; made once, never changed. */
static status_class keep_copy(const catalog *c, const text *bytes, const char *hash, char path[PATH_BYTES],
                              status *st)
{
    snprintf(path, PATH_BYTES, "%s/%s.so", c->store, hash);
    return disk_exists(path) ? STATUS_OK : disk_write(path, bytes->data, bytes->len, 0555, st);
}

static status_class read_file(const catalog *c, const char *file, char *hash, const plugin_entry **entry_out,
                              status *st)
{
    text bytes = {0};
    json_t *said = NULL;
    char path[PATH_BYTES];
    status_class class = disk_read(file, PLUGIN_FILE_MAX_BYTES, &bytes, st);
    if (class == STATUS_OK) {
        hash_hex(&bytes, hash);
        class = keep_copy(c, &bytes, hash, path, st);
    }
    if (class == STATUS_OK)
        class = probe_run(c->spawner, c->program, c->user, path, &said, st);
    if (class == STATUS_OK)
        class = entry_make(file, path, hash, said, entry_out, st);
    json_decref(said);
    text_free(&bytes);
    return class;
}

static const plugin_entry *make_entry(const catalog *c, const char *file)
{
    status st;
    char hash[2 * HASH_BYTES + 1] = "";
    const plugin_entry *entry = NULL;
    if (read_file(c, file, hash, &entry, &st) == STATUS_OK) {
        log_info("plugin", "found", LOG_TEXT("plugin", entry->id), LOG_TEXT("version", entry->version),
                 LOG_TEXT("file", file));
        return entry;
    }
    log_warn("plugin", "a file cannot be used", LOG_TEXT("file", file), LOG_TEXT("cause", st.text));
    return entry_make_broken(file, *hash ? hash : NULL, st.text);
}

/* ---- The records ---- */

static record *record_find(catalog *c, const char *file)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->records[i].file, file))
            return &c->records[i];
    return NULL;
}

static record *record_add(catalog *c, const char *file)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->records = memory_grow(c->records, c->cap * sizeof *c->records);
    }
    size_t at = c->n;
    while (at > 0 && strcmp(c->records[at - 1].file, file) > 0)
        at--;
    memmove(&c->records[at + 1], &c->records[at], (c->n - at) * sizeof *c->records);
    c->n++;
    c->records[at] = (record){.file = memory_string(file)};
    return &c->records[at];
}

static void record_drop(catalog *c, size_t index)
{
    plugin_entry_release(c->records[index].entry);
    free(c->records[index].file);
    memmove(&c->records[index], &c->records[index + 1], (--c->n - index) * sizeof *c->records);
}

static bool record_current(const record *r, const struct stat *facts)
{
    return r && r->entry && r->device == facts->st_dev && r->inode == facts->st_ino &&
           r->size == facts->st_size && r->changed.tv_sec == facts->st_mtim.tv_sec &&
           r->changed.tv_nsec == facts->st_mtim.tv_nsec;
}

/* True if the file gave a new entry. */
static bool scan_file(catalog *c, const char *file, const struct stat *facts)
{
    pthread_mutex_lock(&c->lock);
    record *r = record_find(c, file);
    bool current = record_current(r, facts);
    if (r)
        r->seen = true;
    bool full = !r && c->n >= FILES_MAX;
    pthread_mutex_unlock(&c->lock);
    if (current || full)
        return false;
    const plugin_entry *entry = make_entry(c, file);
    pthread_mutex_lock(&c->lock);
    r = record_find(c, file);
    if (!r)
        r = record_add(c, file);
    plugin_entry_release(r->entry);
    r->entry = entry;
    r->device = facts->st_dev;
    r->inode = facts->st_ino;
    r->size = facts->st_size;
    r->changed = facts->st_mtim;
    r->seen = true;
    pthread_mutex_unlock(&c->lock);
    return true;
}

static unsigned scan_folder(catalog *c, const char *folder, bool deeper)
{
    unsigned changed = 0;
    DIR *listing = opendir(folder);
    for (struct dirent *item; listing && (item = readdir(listing));) {
        char path[PATH_BYTES];
        struct stat facts;
        size_t len = strlen(item->d_name);
        if (item->d_name[0] == '.' ||
            snprintf(path, sizeof path, "%s/%s", folder, item->d_name) >= (int)sizeof path ||
            stat(path, &facts) != 0)
            continue;
        if (S_ISDIR(facts.st_mode) && deeper)
            changed += scan_folder(c, path, false);
        else if (S_ISREG(facts.st_mode) && len > 3 && !strcmp(item->d_name + len - 3, ".so"))
            changed += scan_file(c, path, &facts);
    }
    if (listing)
        closedir(listing);
    return changed;
}

static unsigned drop_unseen(catalog *c)
{
    unsigned dropped = 0;
    for (size_t i = c->n; i-- > 0;) {
        if (!c->records[i].seen) {
            log_info("plugin", "a file is gone", LOG_TEXT("file", c->records[i].file));
            record_drop(c, i);
            dropped++;
        }
    }
    return dropped;
}

unsigned catalog_scan(catalog *c)
{
    unsigned changed = 0;
    pthread_mutex_lock(&c->scanning);
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n; i++)
        c->records[i].seen = false;
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < c->n_folders; i++)
        changed += scan_folder(c, c->folders[i], true);
    pthread_mutex_lock(&c->lock);
    changed += drop_unseen(c);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_unlock(&c->scanning);
    return changed;
}

/* ---- Looking up ---- */

static const record *newest(const catalog *c, const char *id)
{
    const record *best = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const record *r = &c->records[i];
        if (r->entry->broken || strcmp(r->entry->id, id) != 0)
            continue;
        if (!best || r->changed.tv_sec > best->changed.tv_sec ||
            (r->changed.tv_sec == best->changed.tv_sec && r->changed.tv_nsec > best->changed.tv_nsec))
            best = r;
    }
    return best;
}

static void not_found(const catalog *c, const char *id, status *st)
{
    const char **ids = memory_zero(c->n + 1, sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (!c->records[i].entry->broken)
            ids[n++] = c->records[i].entry->id;
    const char *near = name_suggest(id, ids, n);
    status_set(st, STATUS_NOT_FOUND, "there is no plugin %s", id);
    if (near)
        status_hint(st, "did you mean %s?", near);
    else
        status_hint(st, "drop its .so into %s", c->n_folders ? c->folders[0] : "the plugin folder");
    free(ids);
}

const plugin_entry *catalog_find(catalog *c, const char *id, status *st)
{
    pthread_mutex_lock(&c->lock);
    const record *r = newest(c, id);
    const plugin_entry *entry = r ? plugin_entry_hold(r->entry) : NULL;
    if (!entry)
        not_found(c, id, st);
    pthread_mutex_unlock(&c->lock);
    return entry;
}

void catalog_list(catalog *c, void (*on_entry)(const plugin_entry *entry, void *arg), void *arg)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->n;
    const plugin_entry **held = memory_zero(n + 1, sizeof(plugin_entry *));
    for (size_t i = 0; i < n; i++)
        held[i] = plugin_entry_hold(c->records[i].entry);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < n; i++) {
        on_entry(held[i], arg);
        plugin_entry_release(held[i]);
    }
    free(held);
}

/* ---- Making and watching ---- */

status_class catalog_create(const catalog_settings *settings, catalog **catalog_out, status *st)
{
    *catalog_out = NULL;
    if (settings->n_folders > PLUGIN_FOLDERS_MAX)
        return status_set(st, STATUS_LIMIT, "more than %d plugin folders", PLUGIN_FOLDERS_MAX);
    if (sodium_init() < 0)
        return status_set(st, STATUS_INTERNAL, "libsodium does not start");
    char store[PATH_BYTES];
    snprintf(store, sizeof store, "%s/plugins", settings->state_folder);
    status_class class = disk_make_folder(store, 0755, st);
    if (class != STATUS_OK)
        return status_wrap(st, "cannot keep plugins");
    catalog *c = memory_zero(1, sizeof *c);
    for (size_t i = 0; i < settings->n_folders; i++)
        c->folders[c->n_folders++] = memory_string(settings->folders[i]);
    c->store = memory_string(store);
    c->program = memory_string(settings->cell_program);
    c->user = settings->cell_user ? memory_string(settings->cell_user) : NULL;
    c->spawner = settings->spawner;
    pthread_mutex_init(&c->scanning, NULL);
    pthread_mutex_init(&c->lock, NULL);
    catalog_scan(c);
    *catalog_out = c;
    return STATUS_OK;
}

static void on_settled(void *arg)
{
    catalog *c = arg;
    if (catalog_scan(c) && c->on_change)
        c->on_change(c->on_change_arg);
}

status_class catalog_watch(catalog *c, void (*on_change)(void *arg), void *arg, status *st)
{
    c->on_change = on_change;
    c->on_change_arg = arg;
    return watch_start((const char *const *)c->folders, c->n_folders, on_settled, c, &c->watch, st);
}

void catalog_free(catalog *c)
{
    if (!c)
        return;
    watch_stop(c->watch);
    while (c->n)
        record_drop(c, c->n - 1);
    for (size_t i = 0; i < c->n_folders; i++)
        free(c->folders[i]);
    pthread_mutex_destroy(&c->scanning);
    pthread_mutex_destroy(&c->lock);
    free(c->records);
    free(c->store);
    free(c->program);
    free(c->user);
    free(c);
}
