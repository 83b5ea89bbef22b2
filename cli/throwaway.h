/* A whole Penstock for a moment: a host of its own with a state folder of its own on a free port, and nothing
 * left of it afterwards.
 *
 * A guard process does the tidying: it waits on a pipe whose other end only this program holds, so the host,
 * its PostgreSQL and the folder go away however this program ends, Ctrl-C and kill -9 included. */
#ifndef PENSTOCK_CLI_THROWAWAY_H
#define PENSTOCK_CLI_THROWAWAY_H
#include "host_process.h"

typedef struct throwaway {
    host_process host;
    int pipe; /* the guard's sign of life */
    pid_t guard;
} throwaway;

/* `plugins` is one more folder of plugins, or NULL. On success inv->client speaks to it with its admin key.
 * On failure nothing is left. */
status_class throwaway_start(invocation *inv, const char *plugins, throwaway *ret, status *st);
/* Returns when everything is gone. */
void throwaway_end(throwaway *t);
#endif
