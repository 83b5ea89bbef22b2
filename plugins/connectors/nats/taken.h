/* Which messages of a stream were handed over, by their numbers: a set of ranges, which is the cursor. The
 * server sends again what was not acknowledged, in any order; what is in the set becomes no second row. When
 * there are more ranges than a cursor has room for, the lowest are forgotten: such a message would be stored
 * again, none is lost. */
#ifndef NATS_TAKEN_H
#define NATS_TAKEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAKEN_RANGES_MAX = 4000, TAKEN_CURSOR_MAX = 32768 };

typedef struct taken_range {
    uint64_t from, to;
} taken_range;

typedef struct taken {
    uint64_t place; /* which stream and consumer the numbers are of */
    uint64_t batch; /* the one that is being made */
    size_t n;
    taken_range ranges[TAKEN_RANGES_MAX]; /* ascending, apart */
} taken;

/* Begins at a cursor; false: it is none of ours. One of another place counts as none. */
bool taken_open(taken *t, uint64_t place, const void *cursor, size_t len);
void taken_forget(taken *t);
bool taken_has(const taken *t, uint64_t number);
void taken_add(taken *t, uint64_t number);
uint64_t taken_highest(const taken *t); /* 0 = none */
/* All up to it are in the set, or were before they were forgotten; 0 = none. */
uint64_t taken_floor(const taken *t);
/* The cursor after the batch that is being made, which ends with it. */
size_t taken_cut(taken *t, uint8_t cursor[TAKEN_CURSOR_MAX]);
/* Which batch a cursor ended; 0 = none of ours. */
uint64_t taken_batch(const void *cursor, size_t len);
#endif
