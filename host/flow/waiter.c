/* A chained hash table under one short lock; callbacks run outside it. */
#include "flow/waiter.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"

enum { SLOTS = 1024, ID_MAX = 64 };

typedef struct waiter {
    struct waiter *next;
    char id[ID_MAX + 1];
    uint32_t left;
    int64_t deadline_us;
    waiter_result result;
    waiter_done done;
    void *arg;
} waiter;

struct waiter_table {
    pthread_mutex_t lock;
    waiter *slots[SLOTS];
    uint32_t n;
};

static waiter **slot_of(waiter_table *t, const char *id)
{
    waiter **at = &t->slots[name_hash(id, strlen(id)) % SLOTS];
    while (*at && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void unlink_waiter(waiter_table *t, waiter **at)
{
    *at = (*at)->next;
    t->n--;
}

waiter_table *waiter_table_create(void)
{
    waiter_table *t = memory_zero(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void finish(waiter *w, status_class class)
{
    w->result.class = class;
    w->done(w->arg, &w->result);
    free(w);
}

void waiter_table_free(waiter_table *t)
{
    if (!t)
        return;
    for (int i = 0; i < SLOTS; i++)
        while (t->slots[i]) {
            waiter *w = t->slots[i];
            t->slots[i] = w->next;
            finish(w, STATUS_UNAVAILABLE);
        }
    pthread_mutex_destroy(&t->lock);
    free(t);
}

uint32_t waiter_add(waiter_table *t, const char *id, uint32_t n_records, int64_t deadline_us,
                    waiter_done done, void *arg)
{
    waiter *w = memory_zero(1, sizeof *w);
    assert(strlen(id) <= ID_MAX && n_records > 0);
    snprintf(w->id, sizeof w->id, "%s", id);
    w->left = n_records;
    w->deadline_us = deadline_us;
    w->done = done;
    w->arg = arg;
    pthread_mutex_lock(&t->lock);
    waiter **at = slot_of(t, id);
    assert(!*at);
    *at = w;
    uint32_t n = ++t->n;
    pthread_mutex_unlock(&t->lock);
    return n;
}

bool waiter_remove(waiter_table *t, const char *id)
{
    pthread_mutex_lock(&t->lock);
    waiter **at = slot_of(t, id), *w = *at;
    if (w)
        unlink_waiter(t, at);
    pthread_mutex_unlock(&t->lock);
    free(w);
    return w != NULL;
}

void waiter_report(waiter_table *t, const char *id, uint64_t stored, uint64_t duplicate, uint64_t dead)
{
    pthread_mutex_lock(&t->lock);
    waiter **at = slot_of(t, id), *w = *at;
    if (w) {
        w->result.stored += stored;
        w->result.duplicate += duplicate;
        w->result.dead += dead;
        if (--w->left == 0)
            unlink_waiter(t, at);
        else
            w = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    if (w)
        finish(w, STATUS_OK);
}

void waiter_expire(waiter_table *t, int64_t now_us)
{
    waiter *late = NULL;
    pthread_mutex_lock(&t->lock);
    for (int i = 0; i < SLOTS; i++)
        for (waiter **at = &t->slots[i]; *at;) {
            waiter *w = *at;
            if (w->deadline_us > now_us) {
                at = &w->next;
                continue;
            }
            unlink_waiter(t, at);
            w->next = late;
            late = w;
        }
    pthread_mutex_unlock(&t->lock);
    while (late) {
        waiter *w = late;
        late = w->next;
        finish(w, STATUS_TIMEOUT);
    }
}
