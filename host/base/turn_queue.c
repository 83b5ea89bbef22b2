#include "base/turn_queue.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/keep.h"

enum { BUCKETS_FIRST = 16 };

struct turn_line {
    turn_taker taker; /* first */
    turn_line *next;
    uint32_t owner;
    turn_item *first, **last;
};

void turn_queue_free(turn_queue *q)
{
    turns_free(&q->turns);
    for (uint32_t i = 0; i < q->n_buckets; i++)
        for (turn_line *l = q->lines[i], *next; l; l = next) {
            next = l->next;
            keep_free(l);
        }
    free(q->lines);
    *q = (turn_queue){0};
}

static void link_line(turn_line **buckets, uint32_t n_buckets, turn_line *l)
{
    turn_line **at = &buckets[l->owner & (n_buckets - 1)];
    l->next = *at;
    *at = l;
}

static void double_buckets(turn_queue *q)
{
    uint32_t n_buckets = q->n_buckets ? q->n_buckets * 2 : BUCKETS_FIRST;
    turn_line **buckets = memory_zero(n_buckets, sizeof(turn_line *));
    for (uint32_t i = 0; i < q->n_buckets; i++)
        for (turn_line *l = q->lines[i], *next; l; l = next) {
            next = l->next;
            link_line(buckets, n_buckets, l);
        }
    free(q->lines);
    q->lines = buckets;
    q->n_buckets = n_buckets;
}

static turn_line *line_of(turn_queue *q, uint32_t owner)
{
    turn_line *l = q->n_buckets ? q->lines[owner & (q->n_buckets - 1)] : NULL;
    while (l && l->owner != owner)
        l = l->next;
    if (l)
        return l;
    if (q->n_lines >= q->n_buckets)
        double_buckets(q);
    l = keep_zero(1, sizeof *l);
    l->owner = owner;
    l->last = &l->first;
    link_line(q->lines, q->n_buckets, l);
    q->n_lines++;
    return l;
}

void turn_queue_add(turn_queue *q, uint32_t owner, uint32_t weight, turn_item *item)
{
    turn_line *l = line_of(q, owner);
    l->taker.weight = weight;
    *item = (turn_item){.line = l};
    *l->last = item;
    l->last = &item->next;
    q->n++;
    turns_want(&q->turns, &l->taker);
}

turn_item *turn_queue_peek(const turn_queue *q)
{
    return turns_waiting(&q->turns) ? ((turn_line *)q->turns.heap[1])->first : NULL;
}

turn_item *turn_queue_next(turn_queue *q)
{
    turn_line *l = (turn_line *)turns_next(&q->turns);
    if (!l)
        return NULL;
    turn_item *item = l->first;
    l->first = item->next;
    if (l->first)
        turns_want(&q->turns, &l->taker);
    else
        l->last = &l->first;
    item->next = NULL;
    q->n--;
    return item;
}

void turn_queue_charge(turn_queue *q, turn_line *line, uint64_t cost)
{
    turns_charge(&q->turns, &line->taker, cost);
}
