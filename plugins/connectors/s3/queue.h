/* What there is to read: a listing, less what the position knows, in order. The order is by time, or by key
 * where the configuration says that keys sort by time; then only what lies behind the position is listed.
 *
 * An object that is at least `late` older than the server's clock was when the listing began is taken to have
 * no predecessors that are still to appear; reading it moves the settled place. The others are remembered one
 * by one. */
#ifndef S3_QUEUE_H
#define S3_QUEUE_H
#include "position.h"

enum { QUEUE_MOST = 4096 };

typedef enum queue_mark { QUEUE_OPEN, QUEUE_FAILED, QUEUE_DONE } queue_mark;

typedef struct queued {
    int64_t modified_us;
    uint64_t bytes;
    queue_mark mark;
    char etag[LISTING_ETAG_MAX];
    char key[];
} queued;

typedef struct queue {
    bucket *bucket;
    position *at;
    const char *prefix, *suffix;
    int64_t late_us;
    bool by_key;
    bool newest; /* a trial: only the newest object, as if nothing had been read */

    queued **items;
    size_t n, front, next; /* front: all before it are done; next: not looked at yet in this round */
    bool going, more, short_of_memory;
    unsigned pages;
    int64_t clock_us; /* the server's, when the listing began */
    char token[LISTING_TOKEN_MAX];
    char settled[LISTING_KEY_MAX]; /* by key: the greatest key listed that is late enough */
} queue;

/* Reads the settings prefix, suffix, keys and late_s. */
void queue_open(queue *q, const pst_host *host, bucket *b, position *at);
void queue_clear(queue *q); /* frees the items; zeroed is fine */

/* Lists, for a few seconds at a time; *whole_out: that was all of it, and the round begins. */
pst_status queue_list(queue *q, const pst_call *call, bool *whole_out, pst_error *error);
/* The next object of the round; NULL: there is none, or (*crowded_out) no more can be remembered now. */
queued *queue_next(queue *q, bool *crowded_out);
/* The object of that key, if it is in the round. */
queued *queue_find(const queue *q, const char *key);
/* It was read, as the version `etag`, or is gone (etag NULL). */
void queue_done(queue *q, queued *o, const char *etag);
/* The round is over: settles what is old enough. True: there is more, list again at once. */
bool queue_end(queue *q);
#endif
