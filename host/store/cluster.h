/* The private PostgreSQL in the state folder: made once, started when it does not run, adopted when it does
 * (it outlives a killed host), stopped on request. Unix socket only, its own system user when the host is
 * root, data checksums, SCRAM, settings from the machine's memory. It never touches another cluster of the
 * machine. */
#ifndef PENSTOCK_STORE_CLUSTER_H
#define PENSTOCK_STORE_CLUSTER_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"

#define CLUSTER_PATH_SIZE 256
#define CLUSTER_SOCKET_MAX 107 /* sockaddr_un, with "/.s.PGSQL.5432" */
#define CLUSTER_PORT 5432      /* only part of the socket's name: nothing listens on TCP */
#define CLUSTER_START_TIMEOUT_MS 60000

/* One process to start. `outlive`: it stays when the host dies (the postmaster). */
typedef struct cluster_process {
    const char *const *argv; /* argv[0] is an absolute path */
    const char *const *env;  /* "K=V", NULL-ended */
    uid_t uid;               /* same as ours = no change */
    gid_t gid;
    const char *folder; /* working folder */
    const char *output; /* file that takes stdout and stderr (appended) */
    bool outlive;
} cluster_process;
typedef struct cluster_spawn {
    /* Starts it; *pid_out is the process. With `outlive` false the caller waits with `wait`. */
    status_class (*start)(void *self, const cluster_process *process, pid_t *pid_out, status *st);
    /* Waits until it ended (code_out: exit code, 128+signal) or `timeout_ms` passed: STATUS_TIMEOUT, still
     * running. */
    status_class (*wait)(void *self, pid_t pid, int64_t timeout_ms, int *code_out, status *st);
    void *self;
} cluster_spawn;
/* fork and exec; for tests and tools. The host gives its nursery's. */
extern const cluster_spawn cluster_spawn_plain;

typedef struct cluster_options {
    const char *state;     /* absolute; the cluster lives in <state>/postgres */
    const char *user;      /* system user when we are root; NULL = "penstock" */
    const char *bin;       /* folder of initdb and postgres; NULL = the newest under /usr/lib/postgresql */
    const char *sockets;   /* socket folder; NULL = /run/penstock-<hash> as root, else /tmp/penstock-<hash> */
    uint64_t memory_bytes; /* of the machine; 0 = ask the kernel */
    const cluster_spawn *spawn;
    bool ephemeral; /* for tests: fsync off, small, dies with its parent */
} cluster_options;

typedef struct cluster {
    char data[CLUSTER_PATH_SIZE], sockets[CLUSTER_PATH_SIZE], bin[CLUSTER_PATH_SIZE], log[CLUSTER_PATH_SIZE];
    char superuser[32], password[64]; /* password also in <state>/postgres.secret, 0600 */
    uint16_t port;
    pid_t pid;
    int major;
    bool adopted; /* it was running already */
    bool created; /* initdb ran */
} cluster;

/* Makes, starts or adopts; returns when it takes connections. STATUS_UNSUPPORTED with a hint when the data
 * were made by another major version; STATUS_UNAVAILABLE with a hint when PostgreSQL or the system user is
 * missing. */
status_class cluster_start(const cluster_options *options, cluster *out, status *st);
/* Fast stop (sessions are rolled back), waits. */
status_class cluster_stop(const cluster *c, int64_t timeout_ms, status *st);
bool cluster_running(const cluster_options *options, pid_t *pid_out);
#endif
