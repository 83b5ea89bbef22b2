/* Memory for what stays: the small things that a workspace, a connector or a series is as long as it is
 * there. They lie side by side in blocks of their own. In the common heap each of them would stand among what
 * comes and goes with requests and plans, and keep a whole page from going back to the system. Blocks that
 * are freed serve the next of about that size; they are never given back. Any thread. What comes from here
 * goes back here, not to free(). */
#ifndef PENSTOCK_BASE_KEEP_H
#define PENSTOCK_BASE_KEEP_H
#include <stddef.h>

#define KEEP_LARGEST 4096 /* bytes; what is larger comes from the common heap */

void *keep_zero(size_t count,
                size_t size); /* zeroed, 16-byte aligned; running out of memory ends the process */
/* The same block or a larger one with its content; what is new in it is zeroed. */
void *keep_grow(void *old, size_t size);
/* Bytes of blocks that are in use, their heads not counted. */
size_t keep_in_use(void);
char *keep_string(const char *text);
void keep_free(void *p); /* NULL is fine */
#endif
