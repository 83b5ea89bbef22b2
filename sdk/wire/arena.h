/* Shared memory from one side to the other. The writer makes a memfd, maps it and seals it: it can neither
 * shrink nor grow, and nobody else can map it for writing. The reader checks the seals and the size before it
 * maps it read-only. An arena holds one frame at a time. When a frame does not fit, the writer makes a larger
 * arena and announces it (WIRE_ARENA) before the message that needs it. */
#ifndef PENSTOCK_WIRE_ARENA_H
#define PENSTOCK_WIRE_ARENA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_ARENA_FIRST (256UL << 10)
#define WIRE_ARENA_TO_CELL_MAX (256UL << 20)
#define WIRE_ARENA_TO_HOST_MAX (64UL << 20)

typedef struct wire_arena {
    uint8_t *data; /* NULL = none yet */
    size_t size;
    size_t limit; /* of the writer */
    int fd;       /* the writer's, until announced; else -1 */
} wire_arena;

/* Writer: makes room for `size` bytes, keeping the first `used`. False: no memory, or beyond the limit. */
bool wire_arena_room(wire_arena *a, size_t size, size_t used);
/* Reader: takes over the descriptor (closes it). False: not sealed, or another size than announced, or too
 * large. */
bool wire_arena_map(wire_arena *a, int fd, uint64_t announced, size_t limit);
void wire_arena_drop(wire_arena *a); /* zeroed is fine */
#endif
