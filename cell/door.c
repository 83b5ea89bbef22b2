/* One question at a time under a lock; the number tells an answer from a late one. */
#include "cell/door.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/message.h"

enum { BEGIN_MS = 5000, RESOLVE_MS = 60000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t numbers;
static bool open_door;

bool door_is_there(void)
{
    return getenv(DOOR_BROKER_VARIABLE) != NULL;
}

bool door_is_open(void)
{
    return open_door;
}

static bool tell(door_ask *ask, int fd)
{
    struct iovec part = {ask, DOOR_ASK_LEAST + strlen(ask->name) + 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        char bytes[CMSG_SPACE(sizeof fd)];
        struct cmsghdr head;
    } control = {0};
    if (fd >= 0) {
        control.head = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
    }
    return sendmsg(WIRE_DOOR_FD, &m, MSG_NOSIGNAL) > 0;
}

static bool hear(const door_ask *ask, int timeout_ms, door_answer *out)
{
    for (;;) {
        struct pollfd door = {.fd = WIRE_DOOR_FD, .events = POLLIN};
        int ready = poll(&door, 1, timeout_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || recv(WIRE_DOOR_FD, out, sizeof *out, 0) != (ssize_t)sizeof *out)
            return false;
        if (out->number == ask->number && out->kind == ask->kind)
            return out->n <= DOOR_ADDRESSES_MAX;
    }
}

static bool exchange(door_ask *ask, int fd, int timeout_ms, door_answer *out)
{
    pthread_mutex_lock(&lock);
    ask->number = ++numbers;
    bool answered = tell(ask, fd) && hear(ask, timeout_ms, out);
    pthread_mutex_unlock(&lock);
    return answered;
}

bool door_begin(int listener, const char *plugin, bool landlock)
{
    static door_ask ask;
    door_answer answer;
    ask.kind = DOOR_BEGIN;
    ask.pid = (uint32_t)getpid();
    ask.flags = landlock ? DOOR_LANDLOCK : 0;
    snprintf(ask.name, sizeof ask.name, "%s", plugin);
    open_door = exchange(&ask, listener, BEGIN_MS, &answer) && !answer.error;
    close(listener);
    return open_door;
}

int door_resolve(const char *name, int family, door_answer *out)
{
    if (strlen(name) >= NI_MAXHOST)
        return EAI_NONAME;
    door_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return EAI_MEMORY;
    ask->kind = DOOR_RESOLVE;
    ask->family = family;
    snprintf(ask->name, sizeof ask->name, "%s", name);
    int error = exchange(ask, -1, RESOLVE_MS, out) ? out->error : EAI_AGAIN;
    free(ask);
    return error;
}

void door_denied(char *out, size_t size)
{
    door_ask *ask = open_door ? calloc(1, sizeof *ask) : NULL;
    door_answer answer;
    *out = '\0';
    if (!ask)
        return;
    ask->kind = DOOR_DENIED;
    if (exchange(ask, -1, BEGIN_MS, &answer))
        snprintf(out, size, "%.*s", (int)sizeof answer.text - 1, answer.text);
    free(ask);
}
