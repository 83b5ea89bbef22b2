/* A short array under a read-write lock: a host has hundreds of workspaces, not millions. */
#include "serve/directory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"

typedef struct known {
    int32_t wid;
    bool paused;
    char key[NAME_KEY_MAX + 1], id[40];
} known;

struct directory {
    pthread_rwlock_t lock;
    known *all;
    size_t n, cap;
};

directory *directory_create(void)
{
    directory *d = memory_zero(1, sizeof *d);
    pthread_rwlock_init(&d->lock, NULL);
    return d;
}

void directory_free(directory *d)
{
    if (!d)
        return;
    pthread_rwlock_destroy(&d->lock);
    free(d->all);
    free(d);
}

static known *by_wid(directory *d, int32_t wid)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->all[i].wid == wid)
            return &d->all[i];
    return NULL;
}

void directory_put(directory *d, const directory_entry *entry)
{
    pthread_rwlock_wrlock(&d->lock);
    known *k = by_wid(d, entry->wid);
    if (!k && d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 16;
        d->all = memory_grow(d->all, d->cap * sizeof *d->all);
    }
    if (!k)
        k = &d->all[d->n++];
    *k = (known){.wid = entry->wid, .paused = entry->paused};
    snprintf(k->key, sizeof k->key, "%s", entry->key);
    snprintf(k->id, sizeof k->id, "%s", entry->id);
    pthread_rwlock_unlock(&d->lock);
}

void directory_remove(directory *d, int32_t wid)
{
    pthread_rwlock_wrlock(&d->lock);
    known *k = by_wid(d, wid);
    if (k)
        *k = d->all[--d->n];
    pthread_rwlock_unlock(&d->lock);
}

int32_t directory_find(directory *d, const char *name)
{
    int32_t wid = 0;
    pthread_rwlock_rdlock(&d->lock);
    for (size_t i = 0; i < d->n && !wid; i++)
        if (strcmp(d->all[i].key, name) == 0 || strcmp(d->all[i].id, name) == 0)
            wid = d->all[i].wid;
    pthread_rwlock_unlock(&d->lock);
    return wid;
}

bool directory_paused(directory *d, int32_t wid)
{
    pthread_rwlock_rdlock(&d->lock);
    const known *k = by_wid(d, wid);
    bool paused = k && k->paused;
    pthread_rwlock_unlock(&d->lock);
    return paused;
}
