/* glibc returns memory to the kernel as soon as a batch is freed and faults it in again for the next one,
 * which takes longer than the work of a simple plugin. */
#include "cell/heap.h"

#include <malloc.h>

enum { KEPT_BYTES = 64 << 20, MAPPED_BYTES = 16 << 20 };

void heap_begin(void)
{
#ifndef PENSTOCK_SANITIZED
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

void heap_rest(void)
{
#ifndef PENSTOCK_SANITIZED
    malloc_trim(0);
#endif
}
