/* The cursor is one line of text: "v1 device inode offset print print_len path". Names are compared byte by
 * byte. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PRINT_BYTES = 256 };

size_t place_write(const place *p, char out[PLACE_TEXT_MAX])
{
    return (size_t)snprintf(out, PLACE_TEXT_MAX,
                            "v1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %s", p->device,
                            p->inode, p->offset, p->print, p->print_len, p->path);
}

bool place_parse(pst_bytes text, place *out)
{
    char copy[PLACE_TEXT_MAX];
    int path = 0;
    *out = (place){0};
    if (!text.len)
        return true;
    if (text.len >= sizeof copy || memchr(text.data, '\0', text.len))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "v1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu32 " %n", &out->device,
               &out->inode, &out->offset, &out->print, &out->print_len, &path) != 5 ||
        !path || strlen(copy + path) >= sizeof out->path)
        return false;
    memcpy(out->path, copy + path, strlen(copy + path) + 1);
    return out->path[0] && out->print_len <= PRINT_BYTES;
}

static bool print_of(int fd, uint32_t len, uint64_t *print_out, uint32_t *len_out)
{
    unsigned char bytes[PRINT_BYTES];
    ssize_t n = pread(fd, bytes, len, 0);
    *print_out = 14695981039346656037u;
    for (ssize_t i = 0; i < n; i++)
        *print_out = (*print_out ^ bytes[i]) * 1099511628211u;
    *len_out = n < 0 ? 0 : (uint32_t)n;
    return n >= 0;
}

bool place_mark(place *p, int fd)
{
    struct stat s;
    if (fstat(fd, &s))
        return false;
    p->device = s.st_dev;
    p->inode = s.st_ino;
    return print_of(fd, PRINT_BYTES, &p->print, &p->print_len);
}

bool place_is_file(const place *p, int fd)
{
    struct stat s;
    uint64_t print;
    uint32_t len;
    return !fstat(fd, &s) && s.st_dev == p->device && s.st_ino == p->inode &&
           print_of(fd, p->print_len, &print, &len) && len == p->print_len && print == p->print;
}

bool file_set_parse(const char *path, file_set *out)
{
    struct stat s;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *out = (file_set){0};
    if (strlen(path) >= sizeof out->folder || strlen(name) >= sizeof out->pattern)
        return false;
    if (!*name || (!strpbrk(name, "*?[") && !stat(path, &s) && S_ISDIR(s.st_mode))) {
        snprintf(out->folder, sizeof out->folder, "%s", path);
        snprintf(out->pattern, sizeof out->pattern, "*");
        return true;
    }
    size_t len = slash ? (size_t)(slash - path) : 0;
    snprintf(out->folder, sizeof out->folder, "%.*s%s", (int)len, path, slash ? "/" : "./");
    snprintf(out->pattern, sizeof out->pattern, "%s", name);
    out->single = !strpbrk(name, "*?[");
    return true;
}

static bool join(const file_set *set, const char *name, char out[PATH_MAX])
{
    size_t len = strlen(set->folder);
    const char *slash = len && set->folder[len - 1] == '/' ? "" : "/";
    return snprintf(out, PATH_MAX, "%s%s%s", set->folder, slash, name) < PATH_MAX;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool is_file(const char *path)
{
    struct stat s;
    return !stat(path, &s) && S_ISREG(s.st_mode);
}

bool file_set_next(const file_set *set, const char *after, char out[PATH_MAX])
{
    char best[256] = "", path[PATH_MAX];
    if (set->single)
        return !after && join(set, set->pattern, out) && is_file(out);
    DIR *dir = opendir(set->folder);
    if (!dir)
        return false;
    for (struct dirent *e; (e = readdir(dir));) {
        if (fnmatch(set->pattern, e->d_name, FNM_PERIOD) ||
            (after && strcmp(e->d_name, name_of(after)) <= 0) || (best[0] && strcmp(e->d_name, best) >= 0) ||
            !join(set, e->d_name, path) || !is_file(path))
            continue;
        snprintf(best, sizeof best, "%s", e->d_name);
    }
    closedir(dir);
    return best[0] && join(set, best, out);
}

bool file_set_find(const file_set *set, const place *p, char out[PATH_MAX])
{
    DIR *dir = opendir(set->folder);
    bool found = false;
    struct stat s;
    if (!dir)
        return false;
    for (struct dirent *e; !found && (e = readdir(dir));)
        found = join(set, e->d_name, out) && !stat(out, &s) && S_ISREG(s.st_mode) && s.st_dev == p->device &&
                s.st_ino == p->inode;
    closedir(dir);
    return found;
}
