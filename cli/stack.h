/* One Penstock on this machine: a state folder and what runs on it. Shared by up, down, status and doctor. */
#ifndef PENSTOCK_CLI_STACK_H
#define PENSTOCK_CLI_STACK_H
#include <stdbool.h>
#include <sys/types.h>

#include "base/status.h"
#include "command.h"

#define STACK_PATH_SIZE 4096
#define STACK_PORT 8080

typedef struct stack {
    char state[STACK_PATH_SIZE]; /* absolute */
    bool own_state;              /* --state was given: the context is kept there too */
} stack;

/* --state, else /var/lib/penstock as root, ~/.local/share/penstock otherwise. */
status_class stack_find(const invocation *inv, stack *s, status *st);
void stack_path(const stack *s, const char *name, char out[STACK_PATH_SIZE]);
pid_t stack_host(const stack *s);     /* 0 = not running */
pid_t stack_database(const stack *s); /* the private PostgreSQL */
/* The folder of the running PostgreSQL's socket; "" if there is none. */
void stack_database_sockets(const stack *s, char out[STACK_PATH_SIZE]);
pid_t stack_sink(const stack *s); /* the demo's mail sink */
/* The port it was started with last; 0 = never. */
long stack_port(const stack *s);
status_class stack_port_keep(const stack *s, long port, status *st);
extern const flag stack_flags[];
#endif
