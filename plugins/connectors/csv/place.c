/* The cursor is one line of text: "v1 device inode offset print print_len path". Names are compared byte by
 * byte. */
#include "place.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "penstock/batch.h"

enum { PRINT_BYTES = 256, LOOK_AT_ONCE = 64 };

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
    const char *slash = strrchr(path, '/');
    const size_t longest = sizeof out->pattern - 1;
    return snprintf(out->path, sizeof out->path, "%s", path) < (int)sizeof out->path &&
           strlen(slash ? slash + 1 : path) <= longest;
}

/* What the host said about a path, as an error of the configuration; what is not there now is IDLE. */
static pst_status explained(pst_status status, pst_error *error)
{
    if (status == PST_E_UNAVAILABLE && error->vendor_code == ENOENT) {
        *error = (pst_error){.struct_size = sizeof *error};
        return PST_IDLE;
    }
    if (status < 0)
        snprintf(error->where, sizeof error->where, "/path");
    return status;
}

/* A path that names a folder means all of it: that takes a look, so not before the first call. */
static pst_status settle(file_set *set, const pst_call *call, pst_error *error)
{
    const char *path = set->path, *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool pattern = strpbrk(name, "*?[") != NULL;
    pst_file f = {0};
    if (set->folder[0])
        return PST_OK;
    pst_status st =
        !*name || pattern ? PST_OK : explained(set->files->find(set->host, call, path, &f, error), error);
    if (st < 0)
        return st;
    if (!*name || f.kind == PST_FILE_FOLDER) {
        snprintf(set->folder, sizeof set->folder, "%s", path);
        snprintf(set->pattern, sizeof set->pattern, "*");
        return PST_OK;
    }
    size_t len = slash ? (size_t)(slash - path) : 0;
    snprintf(set->folder, sizeof set->folder, "%.*s%s", (int)len, path, slash ? "/" : "./");
    snprintf(set->pattern, sizeof set->pattern, "%s", name);
    set->single = !pattern;
    return PST_OK;
}

static pst_status join(const file_set *set, const char *name, char out[PATH_MAX], pst_error *error)
{
    size_t len = strlen(set->folder);
    const char *slash = len && set->folder[len - 1] == '/' ? "" : "/";
    if (snprintf(out, PATH_MAX, "%s%s%s", set->folder, slash, name) < PATH_MAX)
        return PST_OK;
    return pst_fail(error, PST_E_CONFIG, "/path", "%s%s%s is too long", set->folder, slash, name);
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static pst_status find_single(file_set *set, const pst_call *call, pst_file *file_out,
                              char path_out[PATH_MAX], pst_error *error)
{
    pst_status st = join(set, set->pattern, path_out, error);
    return st ? st : explained(set->files->find(set->host, call, path_out, file_out, error), error);
}

pst_status file_set_next(file_set *set, const pst_call *call, const char *after, pst_file *file_out,
                         char path_out[PATH_MAX], pst_error *error)
{
    size_t n = 1;
    pst_status st = settle(set, call, error);
    if (st)
        return st;
    if (set->single)
        return after ? PST_IDLE : find_single(set, call, file_out, path_out, error);
    file_out->name[0] = '\0';
    if (after)
        snprintf(file_out->name, sizeof file_out->name, "%s", name_of(after));
    do
        st = explained(set->files->list(set->host, call, set->folder, set->pattern,
                                        file_out->name[0] ? file_out->name : NULL, file_out, 1, &n, error),
                       error);
    while (!st && n && file_out->kind != PST_FILE_REGULAR);
    return st ? st : n ? join(set, file_out->name, path_out, error) : PST_IDLE;
}

pst_status file_set_find(file_set *set, const pst_call *call, const place *p, char path_out[PATH_MAX],
                         pst_error *error)
{
    pst_file some[LOOK_AT_ONCE];
    size_t n = LOOK_AT_ONCE;
    char after[256] = "";
    pst_status st = settle(set, call, error);
    while (!st && n == LOOK_AT_ONCE) {
        st = explained(set->files->list(set->host, call, set->folder, "*", after[0] ? after : NULL, some,
                                        LOOK_AT_ONCE, &n, error),
                       error);
        for (size_t i = 0; !st && i < n; i++)
            if (some[i].kind == PST_FILE_REGULAR && some[i].device == p->device && some[i].inode == p->inode)
                return join(set, some[i].name, path_out, error);
        if (!st && n)
            snprintf(after, sizeof after, "%s", some[n - 1].name);
    }
    return st ? st : PST_IDLE;
}

pst_status file_set_open(const file_set *set, const pst_call *call, const char *path, int *fd_out,
                         pst_error *error)
{
    return explained(set->files->open(set->host, call, path, fd_out, error), error);
}
