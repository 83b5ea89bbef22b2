/* The one seam for files. LMDB and PostgreSQL do their own I/O; everything else of the host goes through
 * here. All functions may block: worker lanes and start-up only. Paths are absolute. */
#ifndef PENSTOCK_BASE_DISK_H
#define PENSTOCK_BASE_DISK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "base/text.h"

typedef struct disk_operations {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int fd, void *out, size_t len);
    ssize_t (*write)(int fd, const void *data, size_t len);
    int (*sync)(int fd);
    int (*rename)(const char *from, const char *to);
    int64_t (*free_bytes)(const char *path, int64_t *total_out); /* -1 on error */
} disk_operations;

void disk_use(const disk_operations *operations); /* NULL = the system's */

/* Reads a whole file of at most `limit` bytes. */
status_class disk_read(const char *path, size_t limit, text *out, status *st);
/* Writes beside, syncs, renames over, syncs the folder: after a crash the file is the old or the new one. */
status_class disk_write(const char *path, const void *data, size_t len, mode_t mode, status *st);
/* Makes a folder and its parents. */
status_class disk_make_folder(const char *path, mode_t mode, status *st);
status_class disk_copy(const char *from, const char *to, mode_t mode, status *st);
bool disk_exists(const char *path);
/* For whoever is not root; -1 if that cannot be said. total_out (may be NULL): of the whole disk. */
int64_t disk_free_bytes(const char *path, int64_t *total_out);
/* Removes a tree; missing is fine. Does not follow links. */
status_class disk_remove_tree(const char *path, status *st);
#endif
