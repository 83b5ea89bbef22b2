/* A source file is judged by its facts before and after it was read: if they differ somebody still writes it,
 * and the catalog looks again when it has settled. */
#include "plugin/plugin_copy.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/disk.h"
#include "plugin/catalog.h"

enum { HASH_BYTES = 32, SUFFIX = 3 };

void copy_hash(const void *data, size_t len, char out[COPY_HASH_TEXT])
{
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
    sodium_bin2hex(out, COPY_HASH_TEXT, hash, sizeof hash);
}

void copy_path(const char *store, const char *hash, char out[COPY_PATH_BYTES])
{
    snprintf(out, COPY_PATH_BYTES, "%s/%s.so", store, hash);
}

static bool same_facts(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

status_class copy_read_source(const char *file, text *bytes, status *st)
{
    struct stat before, after;
    if (lstat(file, &before) != 0)
        return status_errno(st, errno, "cannot look at the file");
    if (S_ISLNK(before.st_mode))
        return status_set(st, STATUS_INVALID, "it is a symbolic link: copy the file itself into the folder");
    if (!S_ISREG(before.st_mode))
        return status_set(st, STATUS_INVALID, "it is no plain file");
    status_class class = disk_read(file, PLUGIN_FILE_MAX_BYTES, bytes, st);
    if (class != STATUS_OK)
        return class;
    if (lstat(file, &after) != 0 || !same_facts(&before, &after) || (off_t)bytes->len != after.st_size)
        return status_set(st, STATUS_INVALID,
                          "it was changed while it was read; it is looked at again when it"
                          " has settled");
    return STATUS_OK;
}

status_class copy_verify(const char *store, const char *hash, status *st)
{
    text bytes = {0};
    char path[COPY_PATH_BYTES], found[COPY_HASH_TEXT] = "";
    copy_path(store, hash, path);
    if (!disk_exists(path))
        return status_at(st, STATUS_NOT_FOUND, path, "its copy in the generation store is gone");
    status_class class = disk_read(path, PLUGIN_FILE_MAX_BYTES, &bytes, st);
    if (class == STATUS_OK) {
        copy_hash(text_or_empty(&bytes), bytes.len, found);
        if (strcmp(found, hash) != 0)
            class = status_at(st, STATUS_INVALID, path, "its copy in the generation store is damaged");
    }
    text_free(&bytes);
    return class;
}

status_class copy_keep(const char *store, const void *data, size_t len, const char *hash, status *st)
{
    char path[COPY_PATH_BYTES];
    status found;
    copy_path(store, hash, path);
    if (copy_verify(store, hash, &found) == STATUS_OK)
        return STATUS_OK;
    return disk_write(path, data, len, 0444, st);
}

void copy_prune(const char *store, bool (*wanted)(void *arg, const char *hash), void *arg)
{
    DIR *listing = opendir(store);
    for (struct dirent *item; listing && (item = readdir(listing));) {
        char hash[COPY_HASH_TEXT], path[COPY_PATH_BYTES];
        if (strlen(item->d_name) != COPY_HASH_TEXT - 1 + SUFFIX ||
            strcmp(item->d_name + COPY_HASH_TEXT - 1, ".so") != 0)
            continue;
        snprintf(hash, sizeof hash, "%.64s", item->d_name);
        copy_path(store, hash, path);
        if (!wanted(arg, hash))
            unlink(path);
    }
    if (listing)
        closedir(listing);
}
