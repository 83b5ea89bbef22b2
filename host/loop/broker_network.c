/* connect, bind and sends with an address. The address is copied out of the guest once, checked, and used for
 * the call on a duplicate of the guest's socket; the guest's own call never runs, so nothing that it changes
 * meanwhile counts. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "loop/broker_private.h"

enum { SEND_MAX_BYTES = 256 * 1024, PARTS_MAX = 64, MESSAGES_MAX = 32 };

typedef struct target {
    struct sockaddr_storage address;
    socklen_t len; /* 0 = none */
} target;

/* ---- The rules ---- */

static bool named(const guest *g, const broker_address *a)
{
    for (size_t i = 0; i < g->n_reach; i++)
        if (broker_reach_is(&g->reach[i], a))
            return true;
    for (size_t i = 0; i < g->n_known && i < GUEST_KNOWN_MAX; i++)
        if (!memcmp(g->known[i].bytes, a->bytes, sizeof a->bytes) &&
            broker_reach_port(&g->reach[g->known[i].name], a->port))
            return true;
    return false;
}

static bool granted(const guest *g, const broker_address *a)
{
    for (size_t i = 0; i < g->n_ranges; i++)
        if (broker_range_contains(&g->ranges[i], a))
            return true;
    return false;
}

/* NULL or why not. */
static const char *judge(const guest *g, const broker_address *a)
{
    if (!g->network)
        return "plugins of this kind have no network";
    if (!named(g, a)) {
        broker_orders_take(); /* a place that was added before the cell learnt of it */
        if (!named(g, a))
            return "the configuration does not name it";
    }
    if (broker_address_private(a) && !granted(g, a))
        return "private addresses need networks.allow";
    return NULL;
}

static bool may_reach(guest *g, const char *verb, const target *to)
{
    broker_address a;
    char words[80] = "";
    if (!broker_address_read(&to->address, to->len, &a)) {
        guest_denied(g, "%s to an address of family %d was refused", verb, to->address.ss_family);
        return false;
    }
    const char *why = judge(g, &a);
    if (!why)
        return true;
    broker_address_text(&a, words, sizeof words);
    guest_denied(g, "%s to %s was refused: %s", verb, words, why);
    guest_unreached(g);
    return false;
}

/* ---- The guest's sockets ---- */

static int option_of(int socket, int option)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(socket, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool is_internet(int socket)
{
    int domain = option_of(socket, SO_DOMAIN);
    return domain == AF_INET || domain == AF_INET6;
}

/* -1 and errno: EBADF for a number that is not open there, ENOTSOCK, EACCES for other families. */
static int take_socket(const guest *g, uint64_t fd, bool local_too)
{
    int socket = (int)syscall(SYS_pidfd_getfd, g->process, (int)fd, 0);
    if (socket < 0)
        return -1;
    bool fits = is_internet(socket) || (local_too && option_of(socket, SO_DOMAIN) == AF_UNIX);
    if (!fits) {
        errno = option_of(socket, SO_TYPE) < 0 ? ENOTSOCK : EACCES;
        int keep = errno;
        close(socket);
        errno = keep;
        return -1;
    }
    return socket;
}

static bool read_target(const guest *g, uint64_t at, uint64_t len, target *out)
{
    *out = (target){0};
    if (!at || !len)
        return true;
    if (len > sizeof out->address || !broker_memory_read(g, at, &out->address, (size_t)len))
        return false;
    out->len = (socklen_t)len;
    return true;
}

/* ---- Calls ---- */

static void take_connect(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    target to;
    if (!read_target(g, args[1], (uint32_t)args[2], &to) || !to.len) {
        broker_call_answer(g->listener, call->id, 0, to.len ? EFAULT : EINVAL);
        return;
    }
    int socket = take_socket(g, args[0], false);
    int failed = socket < 0 ? errno : 0;
    if (failed == EACCES)
        guest_denied(g, "connect on a socket that is not of the internet was refused");
    bool apart = to.address.ss_family == AF_UNSPEC; /* takes a connection off */
    if (!failed && !apart && !may_reach(g, "connect", &to))
        failed = EACCES;
    if (!failed && !apart && option_of(socket, SO_TYPE) != SOCK_DGRAM) {
        if (broker_connect_later(g, call->id, socket, &to.address, to.len))
            return;
        failed = EAGAIN;
    } else if (!failed) {
        failed = connect(socket, (struct sockaddr *)&to.address, to.len) == 0 ? 0 : errno;
    }
    broker_call_answer(g->listener, call->id, 0, failed);
    if (socket >= 0)
        close(socket);
}

/* Only "any address, any port", as libraries do before they send. */
static void take_bind(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    target to;
    broker_address a = {0};
    static const uint8_t any[16], any_four[16] = {[10] = 0xff, [11] = 0xff};
    if (!read_target(g, args[1], (uint32_t)args[2], &to)) {
        broker_call_answer(g->listener, call->id, 0, EFAULT);
        return;
    }
    bool read = broker_address_read(&to.address, to.len, &a);
    int failed = 0, socket = -1;
    if (!g->network || !read || a.port ||
        (memcmp(a.bytes, any, 16) != 0 && memcmp(a.bytes, any_four, 16) != 0)) {
        char words[80] = "an address that is not of the internet";
        if (read)
            broker_address_text(&a, words, sizeof words);
        guest_denied(g, "bind to %s was refused: plugins do not listen", words);
        failed = EACCES;
    } else if ((socket = take_socket(g, args[0], false)) < 0) {
        failed = errno;
    } else {
        failed = bind(socket, (struct sockaddr *)&to.address, to.len) == 0 ? 0 : errno;
        close(socket);
    }
    broker_call_answer(g->listener, call->id, 0, failed);
}

static int send_flags(uint64_t given)
{
    return (int)given &
           (MSG_DONTWAIT | MSG_MORE | MSG_NOSIGNAL | MSG_OOB | MSG_EOR | MSG_CONFIRM | MSG_DONTROUTE);
}

/* Answers, or leaves that to a job; takes over the socket and the data. */
static void send_and_answer(guest *g, uint64_t id, int socket, uint8_t *data, size_t len, int flags,
                            const target *to)
{
    const struct sockaddr *address = to->len ? (const struct sockaddr *)&to->address : NULL;
    ssize_t sent = sendto(socket, data, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL, address, to->len);
    int failed = sent < 0 ? errno : 0;
    bool waits = !(flags & MSG_DONTWAIT) && !(fcntl(socket, F_GETFL) & O_NONBLOCK);
    if (failed == EAGAIN && waits &&
        broker_send_later(g, id, socket, data, len, flags, &to->address, to->len))
        return;
    broker_call_answer(g->listener, id, failed ? 0 : sent, failed);
    close(socket);
    free(data);
}

/* errno or 0; the address that the message goes to is right. */
static int check_target(guest *g, int socket, const target *to)
{
    if (!to->len)
        return 0;
    if (!is_internet(socket)) {
        guest_denied(g, "sending to an address on a socket that is not of the internet was refused");
        return EACCES;
    }
    return may_reach(g, "sending", to) ? 0 : EACCES;
}

static void take_sendto(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    size_t len = args[2] < SEND_MAX_BYTES ? (size_t)args[2] : SEND_MAX_BYTES;
    target to;
    uint8_t *data = malloc(len + 1);
    int socket = -1;
    int failed =
        data && read_target(g, args[4], (uint32_t)args[5], &to) && broker_memory_read(g, args[1], data, len)
            ? 0
            : EFAULT;
    if (!failed && (socket = take_socket(g, args[0], true)) < 0)
        failed = errno;
    if (!failed)
        failed = check_target(g, socket, &to);
    if (!failed) {
        send_and_answer(g, call->id, socket, data, len, send_flags(args[3]), &to);
        return;
    }
    broker_call_answer(g->listener, call->id, 0, failed);
    if (socket >= 0)
        close(socket);
    free(data);
}

/* errno or 0; *data_out is one piece. */
static int gather(const guest *g, const struct msghdr *m, uint8_t **data_out, size_t *len_out)
{
    struct iovec parts[PARTS_MAX] = {0};
    size_t n = m->msg_iovlen < PARTS_MAX ? m->msg_iovlen : PARTS_MAX, len = 0;
    *data_out = NULL;
    if (!broker_memory_read(g, (uint64_t)(uintptr_t)m->msg_iov, parts, n * sizeof *parts))
        return EFAULT;
    for (size_t i = 0; i < n; i++) {
        parts[i].iov_len = parts[i].iov_len < SEND_MAX_BYTES - len ? parts[i].iov_len : SEND_MAX_BYTES - len;
        len += parts[i].iov_len;
    }
    *data_out = malloc(len + 1);
    for (size_t i = 0, at = 0; *data_out && i < n; at += parts[i++].iov_len)
        if (!broker_memory_read(g, (uint64_t)(uintptr_t)parts[i].iov_base, *data_out + at, parts[i].iov_len))
            return EFAULT;
    *len_out = len;
    return *data_out ? 0 : ENOMEM;
}

/* errno or 0: address and data of the message at `at`. Descriptors and options beside it are refused. */
static int take_message(guest *g, int socket, uint64_t at, target *to, uint8_t **data_out, size_t *len_out)
{
    struct msghdr m = {0};
    *data_out = NULL;
    if (!broker_memory_read(g, at, &m, sizeof m) ||
        !read_target(g, (uint64_t)(uintptr_t)m.msg_name, m.msg_namelen, to))
        return EFAULT;
    if (m.msg_control && m.msg_controllen) {
        guest_denied(g, "sending descriptors or options beside a message was refused");
        return EPERM;
    }
    int failed = check_target(g, socket, to);
    return failed ? failed : gather(g, &m, data_out, len_out);
}

static void take_sendmsg(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    int socket = take_socket(g, args[0], true);
    target to = {0};
    uint8_t *data = NULL;
    size_t len = 0;
    int failed = socket < 0 ? errno : take_message(g, socket, args[1], &to, &data, &len);
    if (!failed) {
        send_and_answer(g, call->id, socket, data, len, send_flags(args[2]), &to);
        return;
    }
    broker_call_answer(g->listener, call->id, 0, failed);
    if (socket >= 0)
        close(socket);
    free(data);
}

/* Sends what goes at once; a caller that wants to wait repeats the rest. */
static void take_sendmmsg(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    int socket = take_socket(g, args[0], true), failed = socket < 0 ? errno : 0;
    unsigned n = (unsigned)args[2] < MESSAGES_MAX ? (unsigned)args[2] : MESSAGES_MAX, done = 0;
    for (; !failed && done < n; done += !failed) {
        uint64_t at = args[1] + done * sizeof(struct mmsghdr);
        target to = {0};
        uint8_t *data = NULL;
        size_t len = 0;
        failed = take_message(g, socket, at, &to, &data, &len);
        ssize_t sent = failed ? -1
                              : sendto(socket, data, len, send_flags(args[3]) | MSG_DONTWAIT | MSG_NOSIGNAL,
                                       to.len ? (struct sockaddr *)&to.address : NULL, to.len);
        unsigned went = (unsigned)(sent < 0 ? 0 : sent);
        if (!failed && sent < 0)
            failed = errno;
        else if (!failed &&
                 !broker_memory_write(g, at + offsetof(struct mmsghdr, msg_len), &went, sizeof went))
            failed = EFAULT;
        free(data);
    }
    broker_call_answer(g->listener, call->id, done, done ? 0 : failed);
    if (socket >= 0)
        close(socket);
}

/* Options that the filter did not let through. Lingering is done here unless it takes time: then closing our
 * duplicate of the socket could keep us waiting. */
static void take_option(guest *g, const struct seccomp_notif *call)
{
    const uint64_t *args = (const uint64_t *)call->data.args;
    struct linger asked = {.l_linger = 1};
    bool lingers =
        (int)args[1] == SOL_SOCKET && (int)args[2] == SO_LINGER && (uint32_t)args[4] == sizeof asked;
    if (!g->network || !lingers || !broker_memory_read(g, args[3], &asked, sizeof asked) ||
        (asked.l_onoff && asked.l_linger)) {
        broker_call_refuse(g, call);
        return;
    }
    int socket = take_socket(g, args[0], false), failed = socket < 0 ? errno : 0;
    if (!failed)
        failed = setsockopt(socket, SOL_SOCKET, SO_LINGER, &asked, sizeof asked) == 0 ? 0 : errno;
    broker_call_answer(g->listener, call->id, 0, failed);
    if (socket >= 0)
        close(socket);
}

void broker_network_take(guest *g, const struct seccomp_notif *call)
{
    switch (call->data.nr) {
    case SYS_connect:
        take_connect(g, call);
        break;
    case SYS_bind:
        take_bind(g, call);
        break;
    case SYS_sendto:
        take_sendto(g, call);
        break;
    case SYS_sendmsg:
        take_sendmsg(g, call);
        break;
    case SYS_setsockopt:
        take_option(g, call);
        break;
    default:
        take_sendmmsg(g, call);
        break;
    }
}
