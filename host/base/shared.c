/* One chain a bucket; a lookup compares digests only. */
#include "base/shared.h"

#include <stdbool.h>
#include <string.h>

#include "base/name.h"

static shared **bucket_of(shared_table *t, const char *digest)
{
    return &t->buckets[name_hash(digest, DIGEST_TEXT_SIZE - 1) % SHARED_BUCKETS];
}

static shared *find_locked(shared_table *t, const char *digest)
{
    shared *s = *bucket_of(t, digest);
    while (s && strcmp(s->digest, digest) != 0)
        s = s->next;
    if (s)
        s->references++;
    return s;
}

shared *shared_find(shared_table *t, const char digest[DIGEST_TEXT_SIZE])
{
    pthread_mutex_lock(&t->lock);
    shared *s = find_locked(t, digest);
    pthread_mutex_unlock(&t->lock);
    return s;
}

shared *shared_put(shared_table *t, const char digest[DIGEST_TEXT_SIZE], shared *made)
{
    memcpy(made->digest, digest, DIGEST_TEXT_SIZE);
    made->references = 1;
    pthread_mutex_lock(&t->lock);
    shared *there = find_locked(t, digest);
    if (!there) {
        shared **bucket = bucket_of(t, digest);
        made->next = *bucket;
        *bucket = made;
    }
    pthread_mutex_unlock(&t->lock);
    if (!there)
        return made;
    t->free(made);
    return there;
}

static void take_out(shared_table *t, shared *s)
{
    shared **at = bucket_of(t, s->digest);
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
}

void shared_release(shared_table *t, shared *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&t->lock);
    bool last = --s->references == 0;
    if (last)
        take_out(t, s);
    pthread_mutex_unlock(&t->lock);
    if (last)
        t->free(s);
}
