/* What the files of the broker process share: its guests, which are the cells as it sees them.
 *
 * One thread, the main one, takes orders, questions at the doors and notifications of system calls. What may
 * block (resolving a name, a connect, a send on a full socket) runs in a thread of its own, at most
 * GUEST_JOBS_MAX of one guest, so that a guest can only keep itself waiting. `broker_lock` guards every
 * guest; it is never held over something that blocks. */
#ifndef PENSTOCK_LOOP_BROKER_PRIVATE_H
#define PENSTOCK_LOOP_BROKER_PRIVATE_H
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop/broker_wire.h"

enum { GUEST_JOBS_MAX = 8, GUEST_KNOWN_MAX = 128, GUEST_SEEN_MAX = 128 };

typedef struct known_address { /* what a name of the reach resolved to */
    uint8_t bytes[16];
    uint32_t name; /* index into the reach */
} known_address;

typedef struct guest guest;

typedef struct watched { /* what an event is about */
    guest *guest;
    bool call; /* a call at the listener, else a question at the door */
} watched;

struct guest {
    guest *next;
    watched at_door, at_listener;
    uint64_t tag;
    bool network, landlock, gone;
    int door, listener, process; /* process: a pidfd; -1 = none yet */
    pid_t pid;
    char *object; /* path of the plugin's file */
    broker_reach *reach;
    size_t n_reach;
    broker_range *ranges;
    size_t n_ranges;
    known_address known[GUEST_KNOWN_MAX]; /* a ring */
    size_t n_known;
    uint64_t seen[GUEST_SEEN_MAX]; /* denials that were reported, as hashes */
    size_t n_seen;
    uint64_t untold; /* denials since the last event */
    char denied[DOOR_TEXT_MAX];
    char unreached[DOOR_TEXT_MAX]; /* the last place that was refused, for the plugin's error; "" = told */
    int job_fds[GUEST_JOBS_MAX];   /* sockets that jobs wait on, -1 = none */
    unsigned jobs;
};

extern pthread_mutex_t broker_lock;

/* broker_process.c; with the lock held */
void guest_denied(guest *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void guest_unreached(guest *g); /* what was just denied was a place in the network */
void broker_orders_take(void);  /* every order that has arrived */
void guest_release(guest *g);   /* one job less; frees a guest that is gone with its last */

/* broker_report.c: an event for the host, now or as soon as it reads; false: too many wait, count it with the
 * next. With the lock held. */
void broker_report_begin(int socket, int epoll);
bool broker_report(const broker_event *e);
void broker_report_more(void); /* the socket has room */

/* broker_call.c: one notification of the guest, if there is one. With the lock held. */
void broker_call_take(guest *g);
void broker_call_answer(int listener, uint64_t id, int64_t value, int error);
void broker_call_refuse(guest *g, const struct seccomp_notif *call); /* and says so */
/* Copies out of the guest's memory; false if it is not there. */
bool broker_memory_read(const guest *g, uint64_t at, void *out, size_t len);
bool broker_memory_write(const guest *g, uint64_t at, void *data, size_t len);

/* broker_network.c: answers connect, bind, sendto, sendmsg, sendmmsg now or later. With the lock held. */
void broker_network_take(guest *g, const struct seccomp_notif *call);

/* broker_work.c: jobs. With the lock held; false if the guest has too many. */
bool broker_connect_later(guest *g, uint64_t id, int socket, const void *address, socklen_t len);
/* Takes over the buffer. */
bool broker_send_later(guest *g, uint64_t id, int socket, uint8_t *data, size_t len, int flags,
                       const void *address, socklen_t address_len);
void broker_resolve_later(guest *g, const door_ask *ask);
#endif
