/* A queue in fair turns: items wait by owner (a workspace's number), each owner's in their order, and owners
 * take turns by weight (base/turns.h). An item is part of its owner's struct. An owner is remembered once
 * met: 64 bytes. Not thread-safe: under the caller's lock. Zeroed it is empty. */
#ifndef PENSTOCK_BASE_TURN_QUEUE_H
#define PENSTOCK_BASE_TURN_QUEUE_H
#include "base/turns.h"

typedef struct turn_line turn_line;

typedef struct turn_item {
    struct turn_item *next;
    turn_line *line; /* whose it is */
} turn_item;

typedef struct turn_queue {
    turns turns;
    turn_line **lines; /* buckets by owner */
    uint32_t n_lines, n_buckets;
    uint32_t n; /* items */
} turn_queue;

void turn_queue_free(turn_queue *q); /* what it holds but the items */
void turn_queue_add(turn_queue *q, uint32_t owner, uint32_t weight, turn_item *item);
turn_item *turn_queue_peek(const turn_queue *q); /* the one whose turn it is; NULL = none waits */
turn_item *turn_queue_next(turn_queue *q);       /* takes it */
/* What the turn of an item has cost, once that is known; the item need not be there any more. */
void turn_queue_charge(turn_queue *q, turn_line *line, uint64_t cost);
#endif
