/* penstock.files: what lies below a folder that the platform grants to the workspace, opened here with
 * openat2 (RESOLVE_BENEATH: neither `..` nor a link leads out of it) and handed over as a descriptor.
 *
 * A file is looked at before it is opened for reading, so that a FIFO cannot hold the host and a device is
 * not touched. The host's own state folder is refused even where a grant covers it: its keys lie there. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "config/grant.h"
#include "penstock/plugin.h"
#include "plugin/instance_private.h"
#include "plugin/services.h"

enum { LIST_MAX = 64, ENTRIES_MAX = 1000000 };

/* ---- What is granted ---- */

typedef struct granted {
    const char *folders[GRANTS_MAX];
    size_t n;
} granted;

static granted granted_to(const service_call *call)
{
    granted g = {.n = 0};
    const settings *s = call->in->set->settings.settings;
    if (s)
        g.n = grant_files(s, call->workspace_key, g.folders);
    return g;
}

/* What of `path` lies below `folder`; NULL: it does not. "." is the folder itself. */
static const char *below(const char *folder, const char *path)
{
    size_t len = strlen(folder);
    if (*path != '/')
        return *path ? path : ".";
    if (strncmp(path, folder, len) != 0 || (path[len] && path[len] != '/'))
        return NULL;
    path += len + strspn(path + len, "/");
    return *path ? path : ".";
}

static status_class not_granted(service_call *call, const granted *g, const char *path, status *st)
{
    text list = {0};
    for (size_t i = 0; i < g->n && list.len < 160; i++)
        text_printf(&list, "%s%s", i ? ", " : "", g->folders[i]);
    call->vendor_code = EACCES;
    if (g->n)
        status_set(st, STATUS_DENIED, "%.150s is not below a folder that workspace %s may read (%s)", path,
                   call->workspace_key, text_or_empty(&list));
    else
        status_set(st, STATUS_DENIED, "workspace %s may read no files, so not %.150s", call->workspace_key,
                   path);
    text_free(&list);
    instance_denied(call->in, "files", path);
    return status_hint(st, "the host's setting files.allow grants folders");
}

/* ---- Opening ---- */

static int open_beneath(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;
    do
        fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN); /* a name changed while it was resolved */
    return (int)fd;
}

/* Where a descriptor's file lies now. */
static bool is_state(const service_call *call, int fd)
{
    char link[64], where[PATH_MAX], state[PATH_MAX];
    const settings *s = call->in->set->settings.settings;
    if (!realpath(settings_text(s, "state"), state))
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, where, sizeof where - 1);
    if (len < 0)
        return true;
    where[len] = '\0';
    return below(state, where) != NULL;
}

static status_class failed(service_call *call, const char *path, int error, status *st)
{
    call->vendor_code = error;
    bool gone = error == ENOENT || error == ENOTDIR;
    bool later = gone || error == EMFILE || error == ENFILE || error == EIO || error == ESTALE;
    status_set(st, later ? STATUS_UNAVAILABLE : STATUS_INVALID, "%.200s cannot be opened: %s", path,
               error == EXDEV || error == ELOOP ? "a link or .. leads out of the granted folder"
                                                : strerror(error));
    if (error == EXDEV)
        instance_denied(call->in, "files", path);
    return st->class;
}

/* A handle (O_PATH) of what `path` names, below the first granted folder that has it. False: an errno, 0 =
 * below none of them. */
static bool resolve(const granted *g, const char *path, int *fd_out, int *error_out)
{
    *error_out = 0;
    for (size_t i = 0; i < g->n && (*path == '/' || i == 0); i++) {
        const char *rest = below(g->folders[i], path);
        if (!rest)
            continue;
        int root = open(g->folders[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        *fd_out = root < 0 ? -1 : open_beneath(root, rest, O_PATH);
        if (*fd_out < 0 && (!*error_out || errno != ENOENT))
            *error_out = errno;
        if (root >= 0)
            close(root);
        if (*fd_out >= 0)
            return true;
    }
    return false;
}

static status_class find(service_call *call, const char *path, int *fd_out, status *st)
{
    const granted g = granted_to(call);
    int error;
    if (!resolve(&g, path, fd_out, &error))
        return error ? failed(call, path, error, st) : not_granted(call, &g, path, st);
    if (!is_state(call, *fd_out))
        return STATUS_OK;
    close(*fd_out);
    instance_denied(call->in, "files", path);
    call->vendor_code = EACCES;
    return status_set(st, STATUS_DENIED, "%.200s is the host's own: plugins may not read it", path);
}

static int kind_of(const struct stat *s)
{
    return S_ISREG(s->st_mode) ? PST_FILE_REGULAR : S_ISDIR(s->st_mode) ? PST_FILE_FOLDER : 0;
}

/* For reading what a handle stands for. */
static int reopen(int handle, int flags)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    return open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
}

static status_class of_kind(service_call *call, const char *path, int handle, int kind, status *st)
{
    struct stat s;
    if (fstat(handle, &s) == 0 && kind_of(&s) == kind)
        return STATUS_OK;
    call->vendor_code = kind == PST_FILE_FOLDER ? ENOTDIR : EISDIR;
    return status_set(st, STATUS_INVALID, "%.200s is no %s", path,
                      kind == PST_FILE_FOLDER ? "folder" : "regular file");
}

static status_class open_kind(service_call *call, const char *path, int kind, int *fd_out, status *st)
{
    int handle = -1;
    status_class class = find(call, path, &handle, st);
    if (class != STATUS_OK)
        return class;
    class = of_kind(call, path, handle, kind, st);
    if (class == STATUS_OK) {
        *fd_out = reopen(handle, kind == PST_FILE_FOLDER ? O_DIRECTORY : 0);
        if (*fd_out < 0)
            class = failed(call, path, errno, st);
    }
    close(handle);
    return class;
}

static status_class on_open(service_call *call, status *st)
{
    const char *path = service_take_text(call, FRAME_PATH);
    return path ? open_kind(call, path, PST_FILE_REGULAR, &call->reply->fd, st) : service_unreadable(st);
}

/* ---- Looking ---- */

static void put_file(service_call *call, const char *name, const struct stat *s)
{
    service_file f = {.device = s->st_dev,
                      .inode = s->st_ino,
                      .bytes = s->st_size,
                      .modified_us = (int64_t)s->st_mtim.tv_sec * 1000000 + s->st_mtim.tv_nsec / 1000};
    size_t len = strlen(name) + 1;
    char *room = frame_room(&call->reply->body, FRAME_FILE, (uint32_t)kind_of(s), sizeof f + len);
    if (!room)
        return;
    memcpy(room, &f, sizeof f);
    memcpy(room + sizeof f, name, len);
}

static status_class on_find(service_call *call, status *st)
{
    const char *path = service_take_text(call, FRAME_PATH);
    int handle;
    struct stat s;
    if (!path)
        return service_unreadable(st);
    status_class class = find(call, path, &handle, st);
    if (class != STATUS_OK)
        return class;
    const char *slash = strrchr(path, '/');
    if (fstat(handle, &s) != 0 || !kind_of(&s))
        class = of_kind(call, path, handle, PST_FILE_REGULAR, st);
    else
        put_file(call, slash ? slash + 1 : path, &s);
    close(handle);
    return class;
}

/* ---- Lists ---- */

typedef struct names { /* the first names by byte order, at most `most` */
    char *items[LIST_MAX];
    size_t n, most;
    bool more; /* others come behind them */
} names;

static void names_add(names *all, const char *name)
{
    size_t at = all->n;
    while (at && strcmp(all->items[at - 1], name) > 0)
        at--;
    if (all->n == all->most) {
        all->more = true;
        if (at == all->n)
            return;
        free(all->items[--all->n]);
    }
    memmove(&all->items[at + 1], &all->items[at], (all->n - at) * sizeof *all->items);
    all->items[at] = memory_string(name);
    all->n++;
}

static bool names_read(DIR *folder, const char *pattern, const char *after, names *all)
{
    unsigned seen = 0;
    for (struct dirent *e; (e = readdir(folder));) {
        if (++seen > ENTRIES_MAX)
            return false;
        bool kind =
            e->d_type == DT_REG || e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN;
        if (kind && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !fnmatch(pattern, e->d_name, FNM_PERIOD) && (!after || strcmp(e->d_name, after) > 0))
            names_add(all, e->d_name);
    }
    return true;
}

/* What a name stands for now; links that lead out of what is granted are left out, as is what is gone. */
static void put_name(service_call *call, const granted *g, const char *folder, const char *name)
{
    struct stat s;
    char *path = NULL;
    int error, handle = -1;
    if (asprintf(&path, "%s/%s", folder, name) >= 0 && resolve(g, path, &handle, &error) &&
        fstat(handle, &s) == 0 && kind_of(&s))
        put_file(call, name, &s);
    if (handle >= 0)
        close(handle);
    free(path);
}

/* One answer's worth of names behind `after`. False: the folder has too many entries. */
static bool put_names(service_call *call, const char *folder, DIR *names_of, const char *pattern,
                      const char *after, names *page)
{
    const granted g = granted_to(call);
    rewinddir(names_of);
    if (!names_read(names_of, pattern, after, page))
        return false;
    for (size_t i = 0; i < page->n; i++)
        put_name(call, &g, folder, page->items[i]);
    return true;
}

static void names_free(names *page)
{
    for (size_t i = 0; i < page->n; i++)
        free(page->items[i]);
    page->n = 0;
}

/* Pages until one has a file that may be seen, so that an answer is never empty while more come. */
static status_class list_pages(service_call *call, const char *folder, DIR *names_of, const char *pattern,
                               const char *after, size_t most, status *st)
{
    char last[NAME_MAX + 1];
    size_t before = call->reply->body.len;
    names page = {.more = true};
    while (page.more && call->reply->body.len == before) {
        page = (names){.most = most < LIST_MAX ? most : LIST_MAX};
        bool read = put_names(call, folder, names_of, pattern, after, &page);
        if (page.n)
            snprintf(last, sizeof last, "%s", page.items[page.n - 1]);
        names_free(&page);
        if (!read)
            return status_set(st, STATUS_LIMIT, "%.150s has more than %d entries", folder, ENTRIES_MAX);
        after = last;
    }
    call->reply->status = page.more ? PST_OK : PST_END;
    return STATUS_OK;
}

static status_class on_list(service_call *call, status *st)
{
    const char *path = service_take_text(call, FRAME_PATH), *pattern = service_take_text(call, FRAME_KEY);
    const char *after = service_take_text(call, FRAME_VALUE);
    frame_item most;
    int fd;
    if (!path || !pattern || !frame_take(&call->arguments, FRAME_NUMBER, &most) || !most.aux)
        return service_unreadable(st);
    status_class class = open_kind(call, path, PST_FILE_FOLDER, &fd, st);
    if (class != STATUS_OK)
        return class;
    DIR *names_of = fdopendir(fd);
    if (!names_of) {
        close(fd);
        return failed(call, path, ENOMEM, st);
    }
    class = list_pages(call, path, names_of, pattern, after, most.aux, st);
    closedir(names_of);
    return class;
}

static const service_function functions[] = {
    [SERVICE_FILES_OPEN] = on_open, [SERVICE_FILES_FIND] = on_find, [SERVICE_FILES_LIST] = on_list};
const service service_files = {SERVICE_FILES, false, functions, sizeof functions / sizeof *functions};
