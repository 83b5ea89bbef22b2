/* Bump allocator for everything that lives as long as one request or job: allocate freely, free once.
 * Not thread-safe; an arena belongs to whoever runs the job. Running out of memory ends the process
 * (the host is built to be killed at any moment). Pointers stay valid until reset or free. */
#ifndef PENSTOCK_BASE_ARENA_H
#define PENSTOCK_BASE_ARENA_H
#include <stddef.h>

typedef struct arena arena;

arena *arena_create(size_t first_block); /* 0 = 4 KiB */
void arena_free(arena *a);               /* NULL is fine */
void arena_reset(arena *a);              /* keeps the first block */
size_t arena_bytes(const arena *a);      /* what it holds from the system */

void *arena_alloc(arena *a, size_t size);              /* 16-byte aligned, not zeroed */
void *arena_zero(arena *a, size_t count, size_t size); /* zeroed array; overflow-checked */
void *arena_copy(arena *a, const void *data, size_t size);
char *arena_string(arena *a, const char *text); /* NULL gives NULL */
char *arena_string_n(arena *a, const char *text, size_t len);
__attribute__((format(printf, 2, 3))) char *arena_printf(arena *a, const char *fmt, ...);

/* malloc family that ends the process instead of returning NULL. */
void *memory_alloc(size_t size);
void *memory_zero(size_t count, size_t size);
void *memory_grow(void *old, size_t size);
char *memory_string(const char *text);
/* One heap for all threads, where each would get one of its own otherwise, whose newest end is never given
 * back. Before there are threads. */
void memory_use_one_heap(void);
/* Pages that hold nothing but freed memory go back to the system, in all threads' heaps: free() does so at a
 * heap's end only. Milliseconds; others wait for it who allocate. */
void memory_give_back(void);
/* Bytes that were allocated from the common heap and not freed, whatever pages they lie in; with a sanitizer
 * also those of base/keep.h. */
size_t memory_in_use(void);
#endif
