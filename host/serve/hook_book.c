/* A short array under a read-write lock, like the directory. What is compared are hashes, so how long it
 * takes says nothing about a token. */
#include "serve/hook_book.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

struct hook_book {
    pthread_rwlock_t lock;
    hook_token *all;
    uint32_t n;
    bool loaded;
};

hook_book *hook_book_create(void)
{
    hook_book *b = memory_zero(1, sizeof *b);
    pthread_rwlock_init(&b->lock, NULL);
    return b;
}

void hook_book_free(hook_book *b)
{
    if (!b)
        return;
    pthread_rwlock_destroy(&b->lock);
    free(b->all);
    free(b);
}

static void replace(hook_book *b, int32_t wid, const hook_token *tokens, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->n && wid; i++)
        if (b->all[i].wid != wid)
            b->all[kept++] = b->all[i];
    b->all = memory_grow(b->all, (kept + n + 1) * sizeof *b->all);
    if (n)
        memcpy(b->all + kept, tokens, n * sizeof *tokens);
    b->n = kept + n;
    b->loaded = b->loaded || wid == 0;
}

status_class hook_book_load(hook_book *b, connection *c, int32_t wid, status *st)
{
    arena *a = arena_create(0);
    hook_token *tokens;
    uint32_t n;
    status_class class = hook_token_list(c, wid, a, &tokens, &n, st);
    if (class == STATUS_OK) {
        pthread_rwlock_wrlock(&b->lock);
        replace(b, wid, tokens, n);
        pthread_rwlock_unlock(&b->lock);
    }
    arena_free(a);
    return class;
}

void hook_book_forget(hook_book *b, int32_t wid)
{
    assert(wid);
    pthread_rwlock_wrlock(&b->lock);
    replace(b, wid, NULL, 0);
    pthread_rwlock_unlock(&b->lock);
}

status_class hook_book_find(hook_book *b, const char *token, int64_t now_us, hook_token *out, status *st)
{
    unsigned char hash[HOOK_HASH_BYTES];
    const hook_token *found = NULL;
    hook_token_hash(token, hash);
    pthread_rwlock_rdlock(&b->lock);
    for (uint32_t i = 0; i < b->n && !found; i++)
        if (memcmp(b->all[i].hash, hash, sizeof hash) == 0)
            found = &b->all[i];
    bool works = found && (found->expires_us == 0 || found->expires_us > now_us), loaded = b->loaded;
    if (works)
        *out = *found;
    pthread_rwlock_unlock(&b->lock);
    if (works)
        return STATUS_OK;
    return loaded ? status_set(st, STATUS_NOT_FOUND, "there is no such hook")
                  : status_set(st, STATUS_UNAVAILABLE,
                               "which hooks there are is not known before the database is back");
}
