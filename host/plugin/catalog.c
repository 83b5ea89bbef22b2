/* The catalog is a list of records, one a file, each with the entry that its content gave, and of lines, one
 * a plugin id (catalog_line.c). A scan compares size, time and inode; only a file that changed is read,
 * hashed, copied and probed, outside the lock. A file that is still being written gives a broken entry for a
 * moment and is read again when it changed. */
#include "plugin/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/log.h"
#include "plugin/catalog_private.h"
#include "plugin/entry.h"
#include "plugin/probe.h"

enum { PATH_BYTES = 4096, FILES_MAX = 1000 };

/* ---- One file ---- */

static status_class probe(const catalog *c, const char *hash, const char *file,
                          const plugin_entry **entry_out, status *st)
{
    json_t *said = NULL;
    char path[COPY_PATH_BYTES];
    copy_path(c->store, hash, path);
    status_class class = probe_run(c->spawner, c->program, c->user, path, &said, st);
    if (class == STATUS_OK)
        class = entry_make(file, path, hash, said, entry_out, st);
    json_decref(said);
    return class;
}

status_class catalog_probe_copy(const catalog *c, const char *hash, const char *file,
                                const plugin_entry **entry_out, status *st)
{
    *entry_out = NULL;
    status_class class = copy_verify(c->store, hash, st);
    return class == STATUS_OK ? probe(c, hash, file, entry_out, st) : class;
}

static status_class read_file(const catalog *c, const char *file, char *hash, const plugin_entry **entry_out,
                              status *st)
{
    text bytes = {0};
    status_class class = copy_read_source(file, &bytes, st);
    if (class == STATUS_OK) {
        copy_hash(text_or_empty(&bytes), bytes.len, hash);
        class = copy_keep(c->store, text_or_empty(&bytes), bytes.len, hash, st);
    }
    text_free(&bytes);
    return class == STATUS_OK ? probe(c, hash, file, entry_out, st) : class;
}

static const plugin_entry *make_entry(const catalog *c, const char *file)
{
    status st;
    char hash[COPY_HASH_TEXT] = "";
    const plugin_entry *entry = NULL;
    if (read_file(c, file, hash, &entry, &st) == STATUS_OK) {
        log_info("plugin", "found", LOG_TEXT("plugin", entry->id), LOG_TEXT("version", entry->version),
                 LOG_TEXT("file", file));
        return entry;
    }
    log_warn("plugin", "a file cannot be used", LOG_TEXT("file", file), LOG_TEXT("cause", st.text));
    return entry_make_broken(file, *hash ? hash : NULL, st.text);
}

const plugin_entry *catalog_take_bytes(catalog *c, const char *name, const void *data, size_t len, status *st)
{
    char hash[COPY_HASH_TEXT];
    const plugin_entry *entry = NULL;
    if (len > PLUGIN_FILE_MAX_BYTES) {
        status_set(st, STATUS_LIMIT, "%s has more than %ld bytes", name, PLUGIN_FILE_MAX_BYTES);
        return NULL;
    }
    copy_hash(data, len, hash);
    if (copy_keep(c->store, data, len, hash, st) == STATUS_OK &&
        probe(c, hash, name, &entry, st) != STATUS_OK)
        status_wrap(st, "%s", name);
    return entry;
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

status_class catalog_verify(const catalog *c, const plugin_entry *entry, status *st)
{
    status ignored;
    text bytes = {0};
    char hash[COPY_HASH_TEXT] = "";
    status_class class = copy_verify(c->store, entry->hash, st);
    if (class == STATUS_OK)
        return class;
    if (copy_read_source(entry->file, &bytes, &ignored) == STATUS_OK)
        copy_hash(text_or_empty(&bytes), bytes.len, hash);
    if (!strcmp(hash, entry->hash))
        class = copy_keep(c->store, text_or_empty(&bytes), bytes.len, hash, st);
    text_free(&bytes);
    return class;
}

void catalog_mark(const plugin_entry *entry, char out[COPY_HASH_TEXT])
{
    if (entry->hash)
        snprintf(out, COPY_HASH_TEXT, "%s", entry->hash);
    else
        copy_hash(entry->broken, strlen(entry->broken), out);
}

static bool record_arrived(const catalog *c, const plugin_entry *entry, const char *file)
{
    char mark[COPY_HASH_TEXT];
    const generation_file *known = generations_file(&c->generations, file);
    catalog_mark(entry, mark);
    return !known || strcmp(known->hash, mark) != 0;
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
    r->arrived = record_arrived(c, entry, file);
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
            lstat(path, &facts) != 0)
            continue;
        if (S_ISDIR(facts.st_mode) && deeper)
            changed += scan_folder(c, path, false);
        else if (!S_ISDIR(facts.st_mode) && len > 3 && !strcmp(item->d_name + len - 3, ".so"))
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
            log_info("plugin", "a file is gone; its copy serves on", LOG_TEXT("file", c->records[i].file));
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
    if (!c->restored)
        catalog_restore(c);
    c->restored = true;
    catalog_settle(c);
    pthread_mutex_unlock(&c->scanning);
    return changed;
}

/* ---- Listing ---- */

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

/* A document that cannot be read is set aside: the newest files serve then. */
static void read_generations(catalog *c)
{
    status st;
    char path[PATH_BYTES + 32], aside[PATH_BYTES + 40];
    snprintf(path, sizeof path, "%s/" GENERATION_FILE, c->store);
    snprintf(aside, sizeof aside, "%s.unread", path);
    if (generations_read(path, &c->generations, &st) == STATUS_OK)
        return;
    log_status(LOG_LEVEL_ERROR, "plugin", "what served before is not known: the newest files serve", &st);
    if (rename(path, aside) != 0)
        log_warn("plugin", "the unread document cannot be set aside", LOG_TEXT("file", path));
}

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
    pthread_mutex_init(&c->saving, NULL);
    pthread_mutex_init(&c->lock, NULL);
    read_generations(c);
    catalog_scan(c);
    *catalog_out = c;
    return STATUS_OK;
}

static void on_settled(void *arg)
{
    catalog *c = arg;
    bool changed = catalog_scan(c) > 0 || !c->looked;
    c->looked = true;
    if (changed && c->on_change)
        c->on_change(c->on_change_arg);
}

status_class catalog_watch(catalog *c, void (*on_change)(void *arg), void *arg, status *st)
{
    c->on_change = on_change;
    c->on_change_arg = arg;
    return watch_start((const char *const *)c->folders, c->n_folders, on_settled, c, &c->watch, st);
}

void catalog_unwatch(catalog *c)
{
    watch_stop(c->watch);
    c->watch = NULL;
}

void catalog_free(catalog *c)
{
    if (!c)
        return;
    catalog_unwatch(c);
    while (c->n)
        record_drop(c, c->n - 1);
    for (size_t i = 0; i < c->n_folders; i++)
        free(c->folders[i]);
    generations_free(&c->generations);
    for (size_t i = 0; i < c->n_news; i++)
        catalog_news_free(&c->news[i]);
    free(c->news);
    pthread_mutex_destroy(&c->scanning);
    pthread_mutex_destroy(&c->saving);
    pthread_mutex_destroy(&c->lock);
    free(c->records);
    free(c->store);
    free(c->program);
    free(c->user);
    free(c);
}
