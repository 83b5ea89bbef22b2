/* Where reading stands: which file, recognised by device, inode and its first bytes, and how far. It is the
 * cursor. */
#ifndef CSV_PLACE_H
#define CSV_PLACE_H
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "penstock/plugin.h"

#define PLACE_TEXT_MAX (PATH_MAX + 128)

typedef struct place {
    char path[PATH_MAX];            /* "" = before all files */
    uint64_t device, inode, offset; /* of .gz: in what comes out */
    uint64_t print;                 /* hash of the first print_len bytes of the file as it lies on disk */
    uint32_t print_len;
} place;

size_t place_write(const place *p, char out[PLACE_TEXT_MAX]);
bool place_parse(pst_bytes text, place *out);
/* Fills device, inode and print from an open file. */
bool place_mark(place *p, int fd);
/* The open file is the place's: same device and inode, and its first bytes are what they were. */
bool place_is_file(const place *p, int fd);

/* Which files there are: one file, or those of a folder whose names fit a pattern. All of it is asked of the
 * host (penstock.files): PST_OK, PST_IDLE = there is none, or the host's error. */
typedef struct file_set {
    const pst_host *host;
    const pst_files *files;
    char path[PATH_MAX];                 /* as configured */
    char folder[PATH_MAX], pattern[256]; /* folder "" = not looked at yet */
    bool single;                         /* pattern is the one name */
} file_set;

/* `path`: a file, a folder, or folder/pattern with * ? [. False: too long. */
bool file_set_parse(const char *path, file_set *out);
/* The first file by name after `after` (NULL = of all). */
pst_status file_set_next(file_set *set, const pst_call *call, const char *after, pst_file *file_out,
                         char path_out[PATH_MAX], pst_error *error);
/* The file in the set's folder with the place's inode (it was renamed). */
pst_status file_set_find(file_set *set, const pst_call *call, const place *p, char path_out[PATH_MAX],
                         pst_error *error);
/* IDLE: it has just gone. */
pst_status file_set_open(const file_set *set, const pst_call *call, const char *path, int *fd_out,
                         pst_error *error);
#endif
