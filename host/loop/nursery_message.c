/* Sending and receiving one message with descriptors over a SEQPACKET socket. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/nursery_wire.h"

ssize_t nursery_message_send(int socket, const void *data, size_t len, const int *fds, size_t n_fds)
{
    _Alignas(struct cmsghdr) char control[NURSERY_CONTROL_BYTES] = {0};
    struct iovec part = {.iov_base = (void *)data, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n_fds) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        assert(head); /* the buffer has room for one; -O2 cannot see that */
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

ssize_t nursery_message_receive(int socket, void *out, size_t cap, int *fds_out, size_t *n_fds)
{
    _Alignas(struct cmsghdr) char control[NURSERY_CONTROL_BYTES];
    struct iovec part = {.iov_base = out, .iov_len = cap};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    size_t room = n_fds ? *n_fds : 0, n = 0;
    for (struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&message); head;
         head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
            if (n < room)
                fds_out[n++] = fd;
            else
                close(fd);
        }
    }
    if (n_fds)
        *n_fds = n;
    return got;
}
