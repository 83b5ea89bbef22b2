/* penstockd as a background process of a stack: started, waited for, asked for its admin key, ended. Shared
 * by `up`, `down` and what runs a host for a moment. */
#ifndef PENSTOCK_CLI_HOST_PROCESS_H
#define PENSTOCK_CLI_HOST_PROCESS_H
#include "base/status.h"
#include "base/text.h"
#include "client.h"
#include "command.h"
#include "stack.h"

typedef struct host_process {
    invocation *inv; /* for the progress */
    stack stack;
    long port;
    char url[64];
    const char *plugins; /* one more folder of plugins; NULL = none */
    pid_t child;         /* 0: it was running already */
} host_process;

/* `stack` and `port` say where. */
status_class host_process_start(host_process *h, status *st);
/* Until /readyz says so; STATUS_INTERNAL with the end of its log when it ended instead. */
status_class host_process_wait(host_process *h, client *c, status *st);
status_class host_process_key(const stack *s, text *key, status *st);
/* STATUS_CONFLICT if somebody listens there: our host would end, and theirs would answer in its place. */
status_class host_process_port_check(long port, status *st);
/* A port of 127.0.0.1 that nobody has now. */
status_class host_process_free_port(long *port_out, status *st);
#endif
