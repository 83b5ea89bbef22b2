/* What goes between the host and the nursery process: one SEQPACKET message each way. Private to
 * loop/nursery*.c. */
#ifndef PENSTOCK_LOOP_NURSERY_WIRE_H
#define PENSTOCK_LOOP_NURSERY_WIRE_H
#include "loop/nursery.h"

enum { NURSERY_LIMITS_MAX = 16, NURSERY_ARGS_MAX = 1024, NURSERY_CONTROL_BYTES = 256 };

typedef enum nursery_ask { NURSERY_SPAWN = 1, NURSERY_WAIT, NURSERY_FORGET, NURSERY_BROKER } nursery_ask;

/* Followed by the strings, each with its NUL: program, folder, user ("" = none), argv…, env…. The descriptors
 * travel beside it in the order of `targets`. */
typedef struct nursery_order {
    int32_t ask;
    int32_t pid; /* WAIT, FORGET */
    uint32_t argc, envc, n_limits, n_fds;
    int32_t nice;
    uint32_t outlive;
    uid_t uid;
    gid_t gid;
    int32_t targets[NURSERY_FDS_MAX];
    nursery_limit limits[NURSERY_LIMITS_MAX];
} nursery_order;

typedef struct nursery_answer { /* the pidfd travels beside it */
    int32_t pid;
    int32_t error; /* errno; 0 = fine. WAIT: EAGAIN = still running */
    int32_t exited, code;
    char step[32]; /* what failed */
} nursery_answer;

/* Runs in the forked process until the socket is closed; never returns. */
_Noreturn void nursery_process_run(int socket);
/* One message with descriptors. Received ones are close-on-exec; -1 and errno on failure, 0 on end. */
ssize_t nursery_message_send(int socket, const void *data, size_t len, const int *fds, size_t n_fds);
ssize_t nursery_message_receive(int socket, void *out, size_t cap, int *fds_out, size_t *n_fds);
#endif
