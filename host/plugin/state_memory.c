/* A sorted list under one lock: for tests and for tools that run one plugin. */
#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "penstock/plugin.h"
#include "plugin/state_keeper.h"

typedef struct entry entry;
struct entry {
    entry *next; /* by owner, then key */
    char *owner, *key;
    text value;
    uint64_t version;
    int64_t expires_us; /* 0 = never */
};

typedef struct memory {
    pthread_mutex_t lock;
    entry *first;
    uint64_t last_version;
} memory;

static char *owner_of(const char *workspace, const char *instance)
{
    text out = {0};
    text_printf(&out, "%s\n%s", workspace, instance);
    return text_take(&out);
}

/* Where the entry is, or would stand. */
static entry **place(memory *m, const char *owner, const char *key)
{
    entry **at = &m->first;
    while (*at && (strcmp((*at)->owner, owner) < 0 ||
                   (strcmp((*at)->owner, owner) == 0 && strcmp((*at)->key, key) < 0)))
        at = &(*at)->next;
    return at;
}

static bool is_at(const entry *e, const char *owner, const char *key)
{
    return e && !strcmp(e->owner, owner) && !strcmp(e->key, key);
}

static void drop(entry **at)
{
    entry *e = *at;
    assert(e);
    *at = e->next;
    text_free(&e->value);
    free(e->owner);
    free(e->key);
    free(e);
}

/* The entry if it is there and has not expired. */
static entry *find(memory *m, const char *owner, const char *key)
{
    entry **at = place(m, owner, key);
    if (!is_at(*at, owner, key))
        return NULL;
    if (!(*at)->expires_us || (*at)->expires_us > clock_wall_us())
        return *at;
    drop(at);
    return NULL;
}

static status_class get(void *self, const char *workspace, const char *instance, const char *key,
                        text *value_out, uint64_t *version_out, status *st)
{
    (void)st;
    memory *m = self;
    char *owner = owner_of(workspace, instance);
    pthread_mutex_lock(&m->lock);
    const entry *e = find(m, owner, key);
    *version_out = e ? e->version : 0;
    if (e)
        text_add_n(value_out, text_or_empty(&e->value), e->value.len);
    pthread_mutex_unlock(&m->lock);
    free(owner);
    return STATUS_OK;
}

static status_class conflict(const char *key, uint64_t there, status *st)
{
    return status_set(st, STATUS_CONFLICT, "another version of \"%s\" is there: %lu", key,
                      (unsigned long)there);
}

static unsigned keys_of(const memory *m, const char *owner)
{
    unsigned n = 0;
    for (const entry *e = m->first; e; e = e->next)
        n += !strcmp(e->owner, owner);
    return n;
}

static entry *insert(memory *m, const char *owner, const char *key)
{
    entry **at = place(m, owner, key), *e = memory_zero(1, sizeof *e);
    *e = (entry){.next = *at, .owner = memory_string(owner), .key = memory_string(key)};
    *at = e;
    return e;
}

static status_class put(void *self, const char *workspace, const char *instance, const char *key,
                        const void *value, size_t len, uint64_t expected, int64_t expires_us,
                        uint64_t *version_out, status *st)
{
    memory *m = self;
    char *owner = owner_of(workspace, instance);
    status_class class = STATUS_OK;
    pthread_mutex_lock(&m->lock);
    entry *e = find(m, owner, key);
    uint64_t there = e ? e->version : 0;
    if (expected != STATE_ANY && expected != there)
        class = conflict(key, there, st);
    else if (!e && keys_of(m, owner) >= PST_STATE_KEYS_MAX)
        class = status_set(st, STATUS_LIMIT, "the instance has %d keys already", PST_STATE_KEYS_MAX);
    if (class == STATUS_OK) {
        e = e ? e : insert(m, owner, key);
        text_clear(&e->value);
        text_add_n(&e->value, value, len);
        e->expires_us = expires_us;
        e->version = *version_out = ++m->last_version;
    }
    pthread_mutex_unlock(&m->lock);
    free(owner);
    return class;
}

static status_class remove_key(void *self, const char *workspace, const char *instance, const char *key,
                               uint64_t expected, status *st)
{
    memory *m = self;
    char *owner = owner_of(workspace, instance);
    status_class class = STATUS_OK;
    pthread_mutex_lock(&m->lock);
    const entry *e = find(m, owner, key);
    uint64_t there = e ? e->version : 0;
    if (expected != STATE_ANY && expected != there)
        class = conflict(key, there, st);
    else if (e)
        drop(place(m, owner, key));
    pthread_mutex_unlock(&m->lock);
    free(owner);
    return class;
}

static status_class list(void *self, const char *workspace, const char *instance, const char *prefix,
                         const char *after, uint32_t most,
                         void (*on_key)(void *arg, const char *key, uint64_t version), void *arg, status *st)
{
    (void)st;
    memory *m = self;
    char *owner = owner_of(workspace, instance);
    int64_t now = clock_wall_us();
    pthread_mutex_lock(&m->lock);
    for (const entry *e = m->first; e && most; e = e->next) {
        if (strcmp(e->owner, owner) != 0 || strncmp(e->key, prefix, strlen(prefix)) != 0 ||
            (after && strcmp(e->key, after) <= 0) || (e->expires_us && e->expires_us <= now))
            continue;
        on_key(arg, e->key, e->version);
        most--;
    }
    pthread_mutex_unlock(&m->lock);
    free(owner);
    return STATUS_OK;
}

state_keeper state_memory_create(void)
{
    memory *m = memory_zero(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    return (state_keeper){.get = get, .put = put, .remove = remove_key, .list = list, .self = m};
}

void state_memory_free(state_keeper *keeper)
{
    memory *m = keeper->self;
    if (!m)
        return;
    while (m->first)
        drop(&m->first);
    pthread_mutex_destroy(&m->lock);
    free(m);
    *keeper = (state_keeper){0};
}
