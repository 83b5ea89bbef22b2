/* A list of free blocks for each size in steps of 16 bytes; what is not there is cut off the newest region,
 * which comes from the system, not from the common heap. A head of 16 bytes says how large a block is. With a
 * sanitizer every block is an allocation of its own, so that it finds what it finds elsewhere. */
#include "base/keep.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/arena.h"

enum { STEP = 16, SIZES = KEEP_LARGEST / STEP + 1, REGION_BYTES = 64 * 1024 };

typedef union head {
    struct {
        uint32_t steps;  /* of the block behind it; 0 = from the common heap */
        uint64_t usable; /* bytes */
    };
    union head *next;
} head;

static_assert(sizeof(head) == STEP, "a block stands behind its head");

static atomic_size_t in_use;

static void *from_heap(size_t size)
{
    head *h = memory_zero(1, sizeof *h + size);
    h->usable = size;
    return h + 1;
}

#ifdef PENSTOCK_SANITIZED
static void *take(size_t size)
{
    return from_heap(size);
}

static void give(head *h)
{
    free(h);
}
#else
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static head *unused[SIZES]; /* by steps */
static char *region, *region_end;

/* Under the lock. The rest of a region that is too small is lost. */
static head *cut(size_t bytes)
{
    if ((size_t)(region_end - region) < bytes) {
        void *made = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (made == MAP_FAILED)
            abort();
        region = made;
        region_end = region + REGION_BYTES;
    }
    head *h = (head *)(void *)region;
    region += bytes;
    return h;
}

static void *take(size_t size)
{
    size_t steps = (size + STEP - 1) / STEP;
    if (size > KEEP_LARGEST)
        return from_heap(size);
    pthread_mutex_lock(&lock);
    head *h = unused[steps];
    if (h)
        unused[steps] = h[1].next;
    else
        h = cut((steps + 1) * STEP);
    pthread_mutex_unlock(&lock);
    *h = (head){.steps = (uint32_t)steps, .usable = steps * STEP};
    return memset(h + 1, 0, steps * STEP);
}

static void give(head *h)
{
    if (h->steps == 0) {
        free(h);
        return;
    }
    pthread_mutex_lock(&lock);
    h[1].next = unused[h->steps];
    unused[h->steps] = h;
    pthread_mutex_unlock(&lock);
}
#endif

void *keep_zero(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        abort();
    head *h = (head *)take(total ? total : 1) - 1;
    atomic_fetch_add_explicit(&in_use, h->usable, memory_order_relaxed);
    return h + 1;
}

size_t keep_in_use(void)
{
    return atomic_load(&in_use);
}

void *keep_grow(void *old, size_t size)
{
    size_t had = old ? ((head *)old - 1)->usable : 0;
    if (old && size <= had)
        return old;
    void *grown = keep_zero(1, size);
    if (old)
        memcpy(grown, old, had);
    keep_free(old);
    return grown;
}

char *keep_string(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(keep_zero(1, size), text, size);
}

void keep_free(void *p)
{
    if (!p)
        return;
    head *h = (head *)p - 1;
    atomic_fetch_sub_explicit(&in_use, h->usable, memory_order_relaxed);
    give(h);
}
