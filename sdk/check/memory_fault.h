/* Makes single allocations of a loaded object fail: its own, not those of the libraries that it uses. One
 * thread. */
#ifndef PENSTOCK_CHECK_MEMORY_FAULT_H
#define PENSTOCK_CHECK_MEMORY_FAULT_H
#include <stdbool.h>

/* Puts ours in place of malloc and its kin in the object's import table. `handle` is dlopen's. */
void memory_fault_install(void *handle);
/* The nth allocation from now on fails, once; 0 = none. */
void memory_fault_arm(unsigned nth);
bool memory_fault_fired(void); /* since it was armed */
#endif
