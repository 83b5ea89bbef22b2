/* The cell's side of its door to the broker (wire/door.h): handing over the filter's listener, resolving
 * names, and asking what was refused. Without a door, as in a debugger, names are resolved by the C library.
 * Threads: door_begin before there are any, the rest from any. */
#ifndef PENSTOCK_CELL_DOOR_H
#define PENSTOCK_CELL_DOOR_H
#include <stdbool.h>
#include <stddef.h>

#include "wire/door.h"

/* The host has given this cell a door. */
bool door_is_there(void);
/* door_begin has succeeded. */
bool door_is_open(void);
/* Closes the listener here. False: the broker does not answer. `landlock`: the kernel limits the files. */
bool door_begin(int listener, const char *plugin, bool landlock);
/* EAI_… */
int door_resolve(const char *name, int family, door_answer *out);
/* What the broker refused last since the last question; "" = nothing. */
void door_denied(char *out, size_t size);
#endif
