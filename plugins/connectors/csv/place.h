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

/* Which files there are: one file, or those of a folder whose names fit a pattern. */
typedef struct file_set {
    char folder[PATH_MAX], pattern[256];
    bool single; /* pattern is the one name */
} file_set;

/* `path`: a file, a folder, or folder/pattern with * ? [. False: too long. */
bool file_set_parse(const char *path, file_set *out);
/* Path of the first file by name after `after` (NULL = of all); false: none. errno is set if the folder is
 * not readable. */
bool file_set_next(const file_set *set, const char *after, char out[PATH_MAX]);
/* Path of the file in the set's folder with the place's inode (it was renamed); false: none. */
bool file_set_find(const file_set *set, const place *p, char out[PATH_MAX]);
#endif
