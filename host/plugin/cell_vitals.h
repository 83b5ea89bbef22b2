/* What the kernel says of a cell from outside: its memory, how long it had to wait for a processor, and
 * whether it is about to end.
 *
 * The second tells a plugin that hangs or spins from one that is only starved: on a machine that others keep
 * busy a computation may take many times its own length. All are read from /proc when asked, on any thread; a
 * process that is gone has no memory and has not waited. */
#ifndef PENSTOCK_PLUGIN_CELL_VITALS_H
#define PENSTOCK_PLUGIN_CELL_VITALS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Anonymous and shared memory in bytes, without pages of files. */
int64_t cell_vitals_memory_bytes(pid_t pid);
/* Microseconds that its unluckiest thread was ready to run and had no processor, since that thread began. 0
 * where the kernel does not count it. */
int64_t cell_vitals_waited_us(pid_t pid);
/* It is on its way out, or gone: nothing of its own runs any more, though its parent may not have been told.
 */
bool cell_vitals_ending(pid_t pid);
#endif
