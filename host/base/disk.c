#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int system_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags | O_CLOEXEC, mode);
}

static int64_t system_free_bytes(const char *path, int64_t *total_out)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return -1;
    *total_out = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
    return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

static const disk_operations system_operations = {system_open, read, write, fsync, rename, system_free_bytes};
static disk_operations current = {system_open, read, write, fsync, rename, system_free_bytes};

void disk_use(const disk_operations *operations)
{
    current = operations ? *operations : system_operations;
}

static status_class fail(status *st, const char *what, const char *path)
{
    int error = errno;
    status_errno(st, error, what);
    snprintf(st->where, sizeof st->where, "%s", path);
    return st->class;
}

static status_class read_all(int fd, size_t limit, text *out, const char *path, status *st)
{
    for (;;) {
        text_reserve(out, 16384);
        ssize_t n = current.read(fd, out->data + out->len, out->cap - out->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(st, "reading a file", path);
        if (n == 0)
            return STATUS_OK;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > limit)
            return status_at(st, STATUS_LIMIT, path, "the file is larger than %zu bytes", limit);
    }
}

status_class disk_read(const char *path, size_t limit, text *out, status *st)
{
    int fd = current.open(path, O_RDONLY, 0);
    if (fd < 0)
        return fail(st, "opening a file", path);
    status_class class = read_all(fd, limit, out, path, st);
    close(fd);
    return class;
}

static status_class write_all(int fd, const char *data, size_t len, const char *path, status *st)
{
    while (len > 0) {
        ssize_t n = current.write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(st, "writing a file", path);
        data += n;
        len -= (size_t)n;
    }
    return current.sync(fd) == 0 ? STATUS_OK : fail(st, "syncing a file", path);
}

static status_class sync_folder_of(const char *path, status *st)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        *(slash == folder ? slash + 1 : slash) = '\0';
    int fd = current.open(slash ? folder : ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fail(st, "opening a folder", folder);
    int rc = current.sync(fd);
    close(fd);
    return rc == 0 ? STATUS_OK : fail(st, "syncing a folder", folder);
}

status_class disk_write(const char *path, const void *data, size_t len, mode_t mode, status *st)
{
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s.%ld.new", path, (long)getpid()) >= (int)sizeof beside)
        return status_at(st, STATUS_INVALID, path, "the path is too long");
    int fd = current.open(beside, O_WRONLY | O_CREAT | O_TRUNC, mode);
    if (fd < 0)
        return fail(st, "creating a file", beside);
    status_class class = fchmod(fd, mode) == 0 ? write_all(fd, data, len, beside, st) /* whatever the umask */
                                               : fail(st, "setting a file's mode", beside);
    close(fd);
    if (class == STATUS_OK && current.rename(beside, path) != 0)
        class = fail(st, "renaming a file", path);
    if (class != STATUS_OK) {
        unlink(beside);
        return class;
    }
    return sync_folder_of(path, st);
}

status_class disk_make_folder(const char *path, mode_t mode, status *st)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return status_at(st, STATUS_INVALID, path, "not a usable folder name");
    memcpy(part, path, len + 1);
    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return fail(st, "making a folder", part);
        *p = '/';
    }
    if (mkdir(part, mode) != 0 && errno != EEXIST)
        return fail(st, "making a folder", part);
    return STATUS_OK;
}

status_class disk_copy(const char *from, const char *to, mode_t mode, status *st)
{
    text content = {0};
    status_class class = disk_read(from, SIZE_MAX / 2, &content, st);
    if (class == STATUS_OK)
        class = disk_write(to, text_or_empty(&content), content.len, mode, st);
    text_free(&content);
    return class;
}

bool disk_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int64_t disk_free_bytes(const char *path, int64_t *total_out)
{
    int64_t total = 0, free_bytes = current.free_bytes(path, &total);
    if (total_out)
        *total_out = total;
    return free_bytes;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

status_class disk_remove_tree(const char *path, status *st)
{
    if (!disk_exists(path))
        return STATUS_OK;
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? STATUS_OK
                                                                 : fail(st, "removing a folder", path);
}
