/* The server that a plugin talks to while it is checked: on loopback, in a process of its own, so that it
 * answers while the plugin blocks. It writes what it was told to a file. */
#ifndef PENSTOCK_CHECK_FAR_SIDE_H
#define PENSTOCK_CHECK_FAR_SIDE_H
#include <stdbool.h>
#include <sys/types.h>

typedef enum far_mode {
    FAR_ANSWERS,
    FAR_SILENT,
    FAR_REFUSES
} far_mode; /* silent: takes connections, never answers */

typedef struct far_side {
    int port;
    pid_t pid;
    int told_fd;   /* what it was told: a file in memory, gone with the process */
    char told[64]; /* its path */
    int in_fd;     /* of a program: it ends when this is closed */
} far_side;

/* `protocol`: lines, http, smtp, mqtt, modbus, nats, postgres, s3, clickhouse or program; `answer`: what http
 * answers, the object of s3, or which program. Child only: failures end the case. It dies with the process
 * that started it. */
void far_side_start(const char *protocol, const char *answer, far_mode mode, far_side *out);
void far_side_stop(far_side *f); /* zeroed is fine */
#endif
