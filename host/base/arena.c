/* Blocks double up to 1 MiB; a request larger than a block gets one of its own. */
#include "base/arena.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

typedef struct block {
    struct block *next; /* older */
    size_t used, size;
    _Alignas(ALIGNMENT) char bytes[];
} block;

struct arena {
    block *newest;
    size_t total;
};

void *memory_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p) {
        fprintf(stderr, "penstock: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

void *memory_zero(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) {
        fprintf(stderr, "penstock: out of memory (%zu x %zu bytes)\n", count, size);
        abort();
    }
    return p;
}

void *memory_grow(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p) {
        fprintf(stderr, "penstock: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

char *memory_string(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(memory_alloc(n), text, n);
}

void memory_use_one_heap(void)
{
    mallopt(M_ARENA_MAX, 1);
}

void memory_give_back(void)
{
    malloc_trim(0);
}

#ifdef PENSTOCK_SANITIZED
/* NOLINTNEXTLINE(bugprone-reserved-identifier) the sanitizers call it so, in a header that gcc has not */
size_t __sanitizer_get_current_allocated_bytes(void);

size_t memory_in_use(void)
{
    return __sanitizer_get_current_allocated_bytes();
}
#else
size_t memory_in_use(void)
{
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}
#endif

static block *block_add(arena *a, size_t size)
{
    block *b = memory_alloc(sizeof *b + size);
    b->next = a->newest;
    b->used = 0;
    b->size = size;
    a->newest = b;
    a->total += sizeof *b + size;
    return b;
}

arena *arena_create(size_t first_block)
{
    arena *a = memory_zero(1, sizeof *a);
    block_add(a, first_block ? first_block : FIRST_BLOCK);
    return a;
}

void arena_reset(arena *a)
{
    while (a->newest->next) {
        block *b = a->newest;
        a->newest = b->next;
        a->total -= sizeof *b + b->size;
        free(b);
    }
    a->newest->used = 0;
}

void arena_free(arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    free(a->newest);
    free(a);
}

size_t arena_bytes(const arena *a)
{
    return a->total;
}

void *arena_alloc(arena *a, size_t size)
{
    size_t need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    block *b = a->newest;
    if (need < size)
        abort();
    if (b->size - b->used < need) {
        size_t next = b->size * 2 < LARGEST_BLOCK ? b->size * 2 : LARGEST_BLOCK;
        b = block_add(a, need > next ? need : next);
    }
    void *p = b->bytes + b->used;
    b->used += need;
    return p;
}

void *arena_zero(arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        abort();
    return memset(arena_alloc(a, total), 0, total);
}

void *arena_copy(arena *a, const void *data, size_t size)
{
    void *p = arena_alloc(a, size);
    return size ? memcpy(p, data, size) : p;
}

char *arena_string_n(arena *a, const char *text, size_t len)
{
    char *s = arena_alloc(a, len + 1);
    if (len)
        memcpy(s, text, len);
    s[len] = '\0';
    return s;
}

char *arena_string(arena *a, const char *text)
{
    return text ? arena_string_n(a, text, strlen(text)) : NULL;
}

char *arena_printf(arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}
