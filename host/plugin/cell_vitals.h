/* What the kernel says of a cell from outside: its memory, and how long it had to wait for a processor.
 *
 * The second tells a plugin that hangs or spins from one that is only starved: on a machine that others keep
 * busy a computation may take many times its own length. Both are read from /proc when asked, on any thread;
 * a process that is gone has none of either. */
#ifndef PENSTOCK_PLUGIN_CELL_VITALS_H
#define PENSTOCK_PLUGIN_CELL_VITALS_H
#include <stdint.h>
#include <sys/types.h>

/* Anonymous and shared memory in bytes, without pages of files. */
int64_t cell_vitals_memory_bytes(pid_t pid);
/* Microseconds that its unluckiest thread was ready to run and had no processor, since that thread began. 0
 * where the kernel does not count it. */
int64_t cell_vitals_waited_us(pid_t pid);
#endif
