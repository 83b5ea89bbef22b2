/* One packet a message. The header's own lengths are checked against what arrived before anybody looks at
 * them. */
#include "wire/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

wire_header wire_header_make(wire_type type, uint32_t epoch, uint64_t sequence)
{
    return (wire_header){.magic = WIRE_MAGIC,
                         .version = WIRE_VERSION,
                         .type = (uint16_t)type,
                         .epoch = epoch,
                         .sequence = sequence};
}

bool wire_send(int socket, const wire_header *header, const void *body, int fd, int flags)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec parts[2] = {{.iov_base = (void *)header, .iov_len = sizeof *header},
                             {.iov_base = (void *)body, .iov_len = header->body_len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = header->body_len ? 2 : 1};
    if (fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/* Keeps the first descriptor and closes any other. */
static int take_descriptor(struct msghdr *message)
{
    int kept = -1;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + at, sizeof fd);
            if (kept < 0)
                kept = fd;
            else
                close(fd);
        }
    }
    return kept;
}

wire_arrival wire_receive(int socket, wire_message *out, int flags)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))];
    struct iovec parts[2] = {{.iov_base = &out->header, .iov_len = sizeof out->header},
                             {.iov_base = out->body, .iov_len = sizeof out->body}};
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control};
    out->fd = -1;
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | flags);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? WIRE_NOTHING : WIRE_ENDED;
    out->fd = take_descriptor(&message);
    if (got == 0)
        return WIRE_ENDED;
    const wire_header *h = &out->header;
    bool whole = (size_t)got >= sizeof *h && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
    if (whole && h->magic == WIRE_MAGIC && h->version == WIRE_VERSION &&
        h->body_len == (size_t)got - sizeof *h)
        return WIRE_ARRIVED;
    if (out->fd >= 0)
        close(out->fd);
    out->fd = -1;
    return WIRE_BROKEN;
}
