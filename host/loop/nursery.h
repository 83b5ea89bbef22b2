/* The nursery: a tiny child, forked before the host grows, that alone starts processes (forking a large host
 * would stall its loop). It hands back the pid and a pidfd; children are put under their limits and die with
 * the host, except those started with `outlive`.
 *
 * The seam for spawning: `nursery_operations`, with a fake for tests. The caller owns a child until
 * nursery_release, which forgets it without ending it. All functions may be called from any thread and block
 * for about a millisecond; not from the loop thread. Close-on-exec descriptors of the host never reach a
 * child: only `fds` do. */
#ifndef PENSTOCK_LOOP_NURSERY_H
#define PENSTOCK_LOOP_NURSERY_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

#define NURSERY_FDS_MAX 16
#define NURSERY_REQUEST_MAX (64 * 1024) /* bytes of program, argv, env and folder together */

typedef struct nursery nursery;

typedef struct nursery_fd {
    int source; /* of the host; stays open there */
    int target; /* its number in the child; 0, 1, 2 are standard input, output and error */
} nursery_fd;

typedef struct nursery_limit {
    int resource; /* RLIMIT_… */
    uint64_t value;
} nursery_limit;

typedef struct nursery_request {
    const char *program;     /* absolute path */
    const char *const *argv; /* NULL-terminated; NULL = just the program */
    const char *const *env;  /* NULL-terminated; NULL = empty */
    const char *folder;      /* working directory; NULL = "/" */
    const char *user;        /* run as this system user with its groups; NULL = `uid`, `gid` */
    uid_t uid;               /* 0 = as the host runs */
    gid_t gid;
    /* At most NURSERY_FDS_MAX; without one for 0 it is /dev/null, for 1 and 2 the host's. */
    const nursery_fd *fds;
    size_t n_fds;
    const nursery_limit *limits;
    size_t n_limits; /* at most 16 */
    bool outlive;    /* own session, not killed when the host ends */
    int nice;        /* how much it gives way to the host: added to the host's own niceness */
} nursery_request;

typedef struct nursery_child {
    pid_t pid; /* 0 = none */
    int pidfd; /* turns readable when it has ended; -1 = none */
} nursery_child;

typedef struct nursery_exit {
    bool exited; /* by itself, else by a signal */
    int code;    /* exit code or signal number */
} nursery_exit;

typedef struct nursery_operations {
    status_class (*spawn)(nursery *n, const nursery_request *request, nursery_child *child_out, status *st);
    status_class (*wait)(nursery *n, const nursery_child *child, int timeout_ms, nursery_exit *exit_out,
                         status *st);
    int (*signal)(nursery *n, const nursery_child *child, int number);
    void (*release)(nursery *n, nursery_child *child);
    void (*stop)(nursery *n);
    status_class (*broker)(nursery *n, int socket, pid_t *pid_out, status *st); /* NULL = cannot */
} nursery_operations;

struct nursery { /* first member of an implementation */
    const nursery_operations *operations;
};

/* Forks the nursery. Call it first thing in main, before there are threads. NULL on failure. */
nursery *nursery_start(status *st);
/* Ends the nursery and with it every child that does not outlive the host. NULL is fine. */
void nursery_stop(nursery *n);

/* NOT_FOUND if the program or user is not there, INVALID if the request is too large; the text names the
 * step. */
status_class nursery_spawn(nursery *n, const nursery_request *request, nursery_child *child_out, status *st);
/* Waits until the child has ended; timeout_ms -1 = for ever. TIMEOUT if it is still running. */
status_class nursery_wait(nursery *n, const nursery_child *child, int timeout_ms, nursery_exit *exit_out,
                          status *st);
/* 0, or -1 with errno (ESRCH: it has ended). */
int nursery_signal(nursery *n, const nursery_child *child, int number);
/* Closes the pidfd and forgets the child. An empty child is fine. */
void nursery_release(nursery *n, nursery_child *child);
/* Forks the broker (loop/broker.h) with this end of a SEQPACKET socket, which stays the caller's. Like a
 * child, it dies with the host. UNSUPPORTED by a fake. */
status_class nursery_broker(nursery *n, int socket, pid_t *pid_out, status *st);
/* "exit code 3" or "killed by signal 11 (Segmentation fault)". */
void nursery_exit_text(const nursery_exit *exit, char *out, size_t size);
#endif
