/* What may block: a thread for each job, detached, with a small stack. A job of a guest that has gone is
 * woken by shutting its socket down. Names are kept for half a minute, so that many cells with one far side
 * cost one question. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "loop/broker_private.h"

enum { STACK_BYTES = 256 * 1024, NAMES_KEPT = 64, NAME_SECONDS = 30, NAME_FAILED_SECONDS = 2 };

typedef struct job {
    guest *guest;
    void (*run)(struct job *j);
    int listener; /* of the guest, a duplicate */
    uint64_t id;
    int socket, slot, flags;
    struct sockaddr_storage address;
    socklen_t address_len;
    uint8_t *data;
    size_t len;
    int door; /* a duplicate */
    door_ask ask;
} job;

typedef struct kept_name {
    char name[BROKER_HOST_MAX];
    int family, error;
    time_t until;
    uint32_t n;
    door_address addresses[DOOR_ADDRESSES_MAX];
} kept_name;

static kept_name kept[NAMES_KEPT];
static unsigned next_kept;

static void *job_thread(void *arg)
{
    job *j = arg;
    j->run(j);
    pthread_mutex_lock(&broker_lock);
    if (j->slot >= 0)
        j->guest->job_fds[j->slot] = -1;
    guest_release(j->guest);
    pthread_mutex_unlock(&broker_lock);
    int fds[] = {j->listener, j->socket, j->door};
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(j->data);
    free(j);
    return NULL;
}

static void job_discard(job *j)
{
    if (j->listener >= 0)
        close(j->listener);
    if (j->door >= 0)
        close(j->door);
    free(j); /* data and socket are the caller's again */
}

static job *job_make(guest *g, void (*run)(job *j), int socket)
{
    if (g->jobs >= GUEST_JOBS_MAX)
        return NULL;
    job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    *j =
        (job){.guest = g, .run = run, .listener = dup(g->listener), .socket = socket, .slot = -1, .door = -1};
    return j;
}

static bool job_start(job *j)
{
    guest *g = j->guest;
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (int i = 0; j->socket >= 0 && j->slot < 0 && i < GUEST_JOBS_MAX; i++)
        if (g->job_fds[i] < 0)
            g->job_fds[j->slot = i] = j->socket;
    g->jobs++;
    bool started = pthread_create(&thread, &attributes, job_thread, j) == 0;
    pthread_attr_destroy(&attributes);
    if (started)
        return true;
    g->jobs--;
    if (j->slot >= 0)
        g->job_fds[j->slot] = -1;
    return false;
}

/* ---- Sockets ---- */

static void run_connect(job *j)
{
    int failed = connect(j->socket, (struct sockaddr *)&j->address, j->address_len) == 0 ? 0 : errno;
    broker_call_answer(j->listener, j->id, 0, failed);
}

bool broker_connect_later(guest *g, uint64_t id, int socket, const void *address, socklen_t len)
{
    job *j = job_make(g, run_connect, socket);
    if (!j)
        return false;
    j->id = id;
    memcpy(&j->address, address, len);
    j->address_len = len;
    if (job_start(j))
        return true;
    job_discard(j);
    return false;
}

static void run_send(job *j)
{
    ssize_t sent = sendto(j->socket, j->data, j->len, j->flags | MSG_NOSIGNAL,
                          j->address_len ? (struct sockaddr *)&j->address : NULL, j->address_len);
    broker_call_answer(j->listener, j->id, sent < 0 ? 0 : sent, sent < 0 ? errno : 0);
}

bool broker_send_later(guest *g, uint64_t id, int socket, uint8_t *data, size_t len, int flags,
                       const void *address, socklen_t address_len)
{
    job *j = job_make(g, run_send, socket);
    if (!j)
        return false;
    j->id = id;
    j->data = data;
    j->len = len;
    j->flags = flags;
    if (address_len)
        memcpy(&j->address, address, address_len);
    j->address_len = address_len;
    if (job_start(j))
        return true;
    job_discard(j);
    return false;
}

/* ---- Names ---- */

static time_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static const kept_name *find_kept(const char *name, int family)
{
    for (size_t i = 0; i < NAMES_KEPT; i++)
        if (kept[i].until > now() && kept[i].family == family && !strcasecmp(kept[i].name, name))
            return &kept[i];
    return NULL;
}

static void add_address(kept_name *to, const struct addrinfo *from)
{
    if (to->n == DOOR_ADDRESSES_MAX || (from->ai_family != AF_INET && from->ai_family != AF_INET6))
        return;
    door_address *a = &to->addresses[to->n++];
    a->family = from->ai_family;
    if (a->family == AF_INET)
        memcpy(a->bytes, &((struct sockaddr_in *)(void *)from->ai_addr)->sin_addr, 4);
    else
        memcpy(a->bytes, &((struct sockaddr_in6 *)(void *)from->ai_addr)->sin6_addr, 16);
}

static kept_name look_up(const char *name, int family)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *found = NULL;
    kept_name out = {.family = family};
    snprintf(out.name, sizeof out.name, "%s", name);
    out.error = getaddrinfo(name, NULL, &hints, &found);
    for (struct addrinfo *a = out.error ? NULL : found; a; a = a->ai_next)
        add_address(&out, a);
    if (!out.error)
        freeaddrinfo(found);
    out.until = now() + (out.error ? NAME_FAILED_SECONDS : NAME_SECONDS);
    return out;
}

/* From now on the guest may go to these addresses, at the ports that its config has for the name. */
static void note_known(guest *g, const kept_name *k)
{
    for (uint32_t name = 0; name < g->n_reach; name++)
        for (uint32_t i = 0; i < k->n && broker_reach_names(&g->reach[name], k->name); i++) {
            known_address a = {.name = name};
            broker_range whole;
            broker_range_make(k->addresses[i].family, k->addresses[i].bytes, 0, &whole);
            memcpy(a.bytes, whole.bytes, sizeof a.bytes);
            bool there = false;
            for (size_t n = 0; n < GUEST_KNOWN_MAX && n < g->n_known && !there; n++)
                there = g->known[n].name == name && !memcmp(g->known[n].bytes, a.bytes, sizeof a.bytes);
            if (!there)
                g->known[g->n_known++ % GUEST_KNOWN_MAX] = a;
        }
}

static void answer_name(guest *g, int door, const door_ask *ask, const kept_name *k)
{
    door_answer a = {.kind = DOOR_RESOLVE, .number = ask->number, .error = k->error, .n = k->n};
    memcpy(a.addresses, k->addresses, sizeof a.addresses);
    note_known(g, k);
    send(door, &a, sizeof a, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void run_resolve(job *j)
{
    kept_name k = look_up(j->ask.name, j->ask.family);
    pthread_mutex_lock(&broker_lock);
    kept[next_kept++ % NAMES_KEPT] = k;
    answer_name(j->guest, j->door, &j->ask, &k);
    pthread_mutex_unlock(&broker_lock);
}

void broker_resolve_later(guest *g, const door_ask *ask)
{
    kept_name refused = {.error = EAI_AGAIN};
    const kept_name *k = find_kept(ask->name, ask->family);
    job *j = k ? NULL : job_make(g, run_resolve, -1);
    if (j) {
        j->ask = *ask;
        j->door = dup(g->door);
        if (job_start(j))
            return;
        job_discard(j);
    }
    answer_name(g, g->door, ask, k ? k : &refused);
}
