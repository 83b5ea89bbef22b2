/* A system call that a cell's filter did not allow by itself: network calls are done on the cell's behalf,
 * files that every cell may read are let through (Landlock holds the cell to them; without it they are opened
 * here and handed over), everything else is refused and reported by name. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/broker_private.h"
#include "wire/readable.h"

enum { PAGE_BYTES = 4096, PATH_BYTES = 4096 };

/* ---- The guest's memory ---- */

/* A place over there; it is never followed here. */
static struct iovec place(uint64_t at, size_t len)
{
    return (struct iovec){(void *)(uintptr_t)at, len}; /* NOLINT(performance-no-int-to-ptr) */
}

bool broker_memory_read(const guest *g, uint64_t at, void *out, size_t len)
{
    struct iovec here = {out, len}, there = place(at, len);
    return !len || process_vm_readv(g->pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

bool broker_memory_write(const guest *g, uint64_t at, void *data, size_t len)
{
    struct iovec here = {data, len}, there = place(at, len);
    return process_vm_writev(g->pid, &here, 1, &there, 1, 0) == (ssize_t)len;
}

/* A text with its NUL, page by page: the next one may not be there. */
static bool read_text(const guest *g, uint64_t at, char *out, size_t size)
{
    for (size_t len = 0; len < size;) {
        size_t part = PAGE_BYTES - (size_t)((at + len) % PAGE_BYTES);
        part = part < size - len ? part : size - len;
        assert(part > 0);
        if (!broker_memory_read(g, at + len, out + len, part))
            return false;
        if (memchr(out + len, 0, part))
            return true;
        len += part;
    }
    return false;
}

/* ---- Answers ---- */

void broker_call_answer(int listener, uint64_t id, int64_t value, int error)
{
    struct seccomp_notif_resp a = {.id = id, .val = error ? 0 : value, .error = -error};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &a); /* ENOENT: the caller was killed meanwhile */
}

static void let_through(const guest *g, uint64_t id)
{
    struct seccomp_notif_resp a = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(g->listener, SECCOMP_IOCTL_NOTIF_SEND, &a);
}

/* ---- Files ---- */

/* Without "." and "..", as far as the text tells; links are Landlock's business. */
static void tidy(const char *path, char *out)
{
    size_t len = 0;
    while (*path) {
        size_t part = strcspn(path, "/");
        if (part == 2 && !strncmp(path, "..", 2)) {
            while (len && out[--len] != '/')
                continue;
        } else if (part && !(part == 1 && *path == '.')) {
            out[len++] = '/';
            memcpy(out + len, path, part);
            len += part;
        }
        path += part + (path[part] == '/');
    }
    out[len] = '\0';
}

/* Ways out of /proc/self. */
static bool leads_out(const char *path)
{
    return !strncmp(path, "/proc/self/root", 15) || !strncmp(path, "/proc/self/cwd", 14) ||
           !strncmp(path, "/proc/self/task", 15);
}

static bool is_readable(const guest *g, const char *given)
{
    char path[PATH_BYTES + 1];
    size_t n;
    const readable_path *list = readable_list(g->network, &n);
    if (g->object && !strcmp(given, g->object))
        return true;
    tidy(given, path);
    if (leads_out(path))
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(list[i].path);
        if (!strncmp(path, list[i].path, len) && (!path[len] || path[len] == '/'))
            return true;
    }
    return false;
}

/* The broker's own eyes: the file is opened here, and its real place looked at. */
static void open_for(const guest *g, uint64_t id, const char *path)
{
    char link[64], real[PATH_BYTES] = "";
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_NO_MAGICLINKS};
    int file = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how), failed = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (file < 0 || readlink(link, real, sizeof real - 1) < 0 || !is_readable(g, real)) {
        broker_call_answer(g->listener, id, 0, file < 0 ? failed : EACCES);
    } else {
        struct seccomp_notif_addfd add = {
            .id = id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = (uint32_t)file, .newfd_flags = O_CLOEXEC};
        if (ioctl(g->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 && errno != ENOENT)
            broker_call_answer(g->listener, id, 0, EMFILE);
    }
    if (file >= 0)
        close(file);
}

static void take_open(guest *g, const struct seccomp_notif *call, uint64_t path_at, uint64_t flags)
{
    char path[PATH_BYTES];
    int failed = 0;
    if (!read_text(g, path_at, path, sizeof path))
        failed = EFAULT;
    else if (!strcmp(path, "/dev/null"))
        flags &= ~(uint64_t)O_ACCMODE;
    bool writes = flags & (O_ACCMODE | O_CREAT | O_TRUNC);
    if (!failed && (path[0] != '/' || writes || !is_readable(g, path))) {
        if (!readable_quiet(path))
            guest_denied(g, "opening %.200s%s was refused: a plugin reads files through its service only",
                         path, writes ? " for writing" : "");
        failed = readable_quiet(path) ? ENOENT : EACCES;
    }
    if (failed)
        broker_call_answer(g->listener, call->id, 0, failed);
    else if (g->landlock)
        let_through(g, call->id);
    else
        open_for(g, call->id, path);
}

/* Files in memory (memfd) are the plugin's own; what libraries want of a key that lies in one is that nobody
 * else may read it. Not other files, which it may have been handed for reading. */
static void take_mode(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    struct stat is;
    int file = (int)syscall(SYS_pidfd_getfd, g->process, (int)args[0], 0), failed = file < 0 ? errno : 0;
    bool own = !failed && fcntl(file, F_GET_SEALS) >= 0 && fstat(file, &is) == 0 && is.st_nlink == 0;
    if (!failed && (!own || args[1] & ~(uint64_t)(S_IRUSR | S_IWUSR))) {
        guest_denied(g, "the call fchmod was refused: it is for files in memory, and makes them private");
        failed = EPERM;
    }
    if (!failed && fchmod(file, (mode_t)args[1]) != 0)
        failed = errno;
    broker_call_answer(g->listener, call->id, 0, failed);
    if (file >= 0)
        close(file);
}

/* ---- Everything else ---- */

void broker_call_refuse(guest *g, const struct seccomp_notif *call)
{
    char *name = seccomp_syscall_resolve_num_arch(call->data.arch, call->data.nr);
    const uint64_t *args = (const uint64_t *)call->data.args;
    if (call->data.nr == SYS_socket && g->network)
        guest_denied(g, "the call socket was refused: family %d, type %d, protocol %d is no TCP or UDP",
                     (int)args[0], (int)args[1] & 0xf, (int)args[2]);
    else
        guest_denied(g, "the call %s was refused", name ? name : "of an unknown number");
    free(name);
    broker_call_answer(g->listener, call->id, 0, EPERM);
}

void broker_call_take(guest *g)
{
    struct seccomp_notif call = {0};
    if (ioctl(g->listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
        return; /* ENOENT: the caller was killed meanwhile */
    const uint64_t *args = (const uint64_t *)call.data.args;
    switch (call.data.nr) {
    case SYS_connect:
    case SYS_bind:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_setsockopt:
        broker_network_take(g, &call);
        break;
    case SYS_fchmod:
        take_mode(g, &call);
        break;
    case SYS_openat:
        take_open(g, &call, args[1], args[2]);
        break;
#ifdef SYS_open
    case SYS_open:
        take_open(g, &call, args[0], args[1]);
        break;
#endif
    default:
        broker_call_refuse(g, &call);
    }
}
