#include "queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_US = 4000000, TRIAL_PAGES = 20 };

void queue_open(queue *q, const pst_host *host, bucket *b, position *at)
{
    const char *keys = host->config_text(host, "/keys"), *prefix = host->config_text(host, "/prefix"),
               *suffix = host->config_text(host, "/suffix");
    *q = (queue){.bucket = b,
                 .at = at,
                 .prefix = prefix ? prefix : "",
                 .suffix = suffix ? suffix : "",
                 .late_us = host->config_int(host, "/late_s") * 1000000,
                 .by_key = keys && !strcmp(keys, "sorted")};
}

void queue_clear(queue *q)
{
    for (size_t i = 0; i < q->n; i++)
        free(q->items[i]);
    free(q->items);
    q->items = NULL;
    q->n = q->front = q->next = q->pages = 0;
    q->going = q->more = false;
    q->token[0] = q->settled[0] = '\0';
}

/* ---- Order ---- */

static int by_time(const void *a, const void *b)
{
    const queued *x = *(queued *const *)a, *y = *(queued *const *)b;
    return x->modified_us != y->modified_us
               ? (x->modified_us > y->modified_us) - (x->modified_us < y->modified_us)
               : strcmp(x->key, y->key);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(queued *const *)a)->key, (*(queued *const *)b)->key);
}

static void drop(queue *q, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        free(q->items[i]);
}

/* Sorted, and the first of them only; in a trial the newest one. */
static void trim(queue *q)
{
    if (q->n)
        qsort(q->items, q->n, sizeof *q->items, q->by_key && !q->newest ? by_name : by_time);
    if (q->newest && q->n > 1) {
        drop(q, 0, q->n - 1);
        q->items[0] = q->items[q->n - 1];
        q->n = 1;
    } else if (q->n > QUEUE_MOST) {
        drop(q, QUEUE_MOST, q->n);
        q->n = QUEUE_MOST;
        q->more = true;
    }
}

/* ---- Listing ---- */

/* Nothing that belongs before it is still to appear. */
static bool is_late(const queue *q, int64_t modified_us)
{
    return modified_us < q->clock_us - q->late_us;
}

static bool has_suffix(const char *key, const char *suffix)
{
    size_t n = strlen(key), m = strlen(suffix);
    return n >= m && !strcmp(key + n - m, suffix);
}

static void add(queue *q, const listing_object *o, const char *etag)
{
    size_t len = strlen(o->key) + 1;
    queued *item = malloc(sizeof *item + len);
    if (!q->items)
        q->items = calloc(2 * QUEUE_MOST, sizeof *q->items);
    if (!item || !q->items) {
        free(item);
        q->short_of_memory = true;
        return;
    }
    *item = (queued){.modified_us = o->modified_us, .bytes = o->bytes};
    snprintf(item->etag, sizeof item->etag, "%s", etag);
    memcpy(item->key, o->key, len);
    q->items[q->n++] = item;
    if (q->n == 2 * QUEUE_MOST)
        trim(q);
}

/* The version of an object, also where the server tells no etag. */
static void version_of(const listing_object *o, char out[LISTING_ETAG_MAX])
{
    bucket_etag(o->etag, out);
    if (!out[0])
        snprintf(out, LISTING_ETAG_MAX, "W/%lld-%llu", (long long)o->modified_us,
                 (unsigned long long)o->bytes);
}

static void on_object(void *arg, const listing_object *o)
{
    queue *q = arg;
    char etag[LISTING_ETAG_MAX];
    if (!o->bytes || !has_suffix(o->key, q->suffix))
        return;
    version_of(o, etag);
    if (!q->newest) {
        if (is_late(q, o->modified_us) && strcmp(o->key, q->settled) > 0)
            snprintf(q->settled, sizeof q->settled, "%s", o->key);
        if (position_is_settled(q->at, o->modified_us, o->key) ||
            position_find(q->at, position_print(o->key, etag)))
            return;
    }
    add(q, o, etag);
}

static pst_status list_page(queue *q, const pst_call *call, pst_error *error)
{
    static listing_page page;
    int64_t later_us;
    bucket_page ask = {.prefix = q->prefix,
                       .after = q->by_key && !q->newest ? q->at->floor : NULL,
                       .token = q->going ? q->token : NULL};
    page.on_object = on_object;
    page.on_prefix = NULL;
    page.arg = q;
    pst_status st = bucket_list(q->bucket, call, &ask, &page, q->going ? &later_us : &q->clock_us, error);
    if (st)
        return st;
    if (q->short_of_memory)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the objects of a listing");
    if (page.more && q->going && !strcmp(q->token, page.token))
        return pst_fail(error, PST_E_UNAVAILABLE, "/url", "the listing gives the same page twice");
    q->going = page.more;
    memcpy(q->token, page.token, sizeof q->token);
    q->pages++;
    return PST_OK;
}

pst_status queue_list(queue *q, const pst_call *call, bool *whole_out, pst_error *error)
{
    int64_t began_us = q->bucket->host->now_us(q->bucket->host);
    bool enough = false;
    *whole_out = false;
    if (!q->going) {
        queue_clear(q);
        position_listing_begins(q->at);
    }
    do {
        pst_status st = list_page(q, call, error);
        if (st) {
            queue_clear(q);
            return st;
        }
        enough = (q->by_key && !q->newest && q->n >= QUEUE_MOST) || (q->newest && q->pages == TRIAL_PAGES);
    } while (q->going && !enough && q->bucket->host->now_us(q->bucket->host) - began_us < LIST_US);
    if (q->going && !enough)
        return PST_OK;
    if (!q->going && !q->newest)
        position_listing_ends(q->at);
    q->more = q->going && !q->newest;
    q->going = false;
    trim(q);
    *whole_out = true;
    return PST_OK;
}

/* ---- The round ---- */

/* Its being read is told by the settled place alone. */
static bool settles(const queue *q, const queued *o)
{
    return q->items[q->front] == o && is_late(q, o->modified_us);
}

queued *queue_next(queue *q, bool *crowded_out)
{
    *crowded_out = false;
    while (q->next < q->n && q->items[q->next]->mark != QUEUE_OPEN)
        q->next++;
    if (q->next == q->n)
        return NULL;
    *crowded_out = !q->newest && !settles(q, q->items[q->next]) && !position_has_room(q->at);
    return *crowded_out ? NULL : q->items[q->next];
}

queued *queue_find(const queue *q, const char *key)
{
    for (size_t i = 0; i < q->n; i++)
        if (!strcmp(q->items[i]->key, key))
            return q->items[i];
    return NULL;
}

static void settle(queue *q, const queued *o)
{
    if (q->by_key)
        position_settle_key(q->at, o->key);
    else
        position_settle_time(q->at, o->modified_us, o->key);
}

void queue_done(queue *q, queued *o, const char *etag)
{
    bool listed = etag && !strcmp(etag, o->etag);
    if (etag && !(settles(q, o) && listed))
        position_add(q->at, position_print(o->key, etag));
    o->mark = QUEUE_DONE;
    for (; q->front < q->n && q->items[q->front]->mark == QUEUE_DONE; q->front++)
        if (is_late(q, q->items[q->front]->modified_us))
            settle(q, q->items[q->front]);
}

bool queue_end(queue *q)
{
    bool all = q->front == q->n, more = q->more && q->front > 0;
    bool old_ones = all || !is_late(q, q->items[q->front]->modified_us);
    if (!q->more && !q->newest && old_ones && !q->by_key) {
        position_settle_time(q->at, q->clock_us - q->late_us, "");
        q->at->floor[0] = '\0'; /* of when keys were said to be sorted */
    }
    if (!q->more && !q->newest && all && q->by_key)
        position_settle_key(q->at, q->settled);
    queue_clear(q);
    return more;
}
