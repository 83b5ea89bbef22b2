/* What has been read of a bucket: what the cursor of the source holds. An object is settled when it lies at
 * or before a place in an order: by time (last modified, then key), or by key. What was read behind that
 * place is remembered one by one, by a hash of key and etag, so that the place can stay behind by as much as
 * objects may be late. */
#ifndef S3_POSITION_H
#define S3_POSITION_H
#include "bucket.h"

enum { POSITION_SEEN_MAX = 5000, POSITION_SEEN_SPARE = 8, POSITION_CURSOR_MAX = 65536 };

typedef struct position {
    uint64_t print;   /* of the settings that say which objects there are */
    int64_t until_us; /* settled by time: (until_us, until) */
    char until[LISTING_KEY_MAX];
    char floor[LISTING_KEY_MAX]; /* settled by key, "" = none */
    uint64_t *seen;              /* sorted */
    bool *found;                 /* while a listing runs: of each, was it listed? */
    size_t n_seen;
    char key[LISTING_KEY_MAX], etag[LISTING_ETAG_MAX]; /* the object that is being read; key "" = none */
    uint64_t offset;                                   /* in its text */
} position;

bool position_open(position *p); /* false: no memory */
void position_close(position *p);
/* Nothing has been read. */
void position_clear(position *p, uint64_t print);

void position_write(const position *p, wording *out);
/* False: that is no cursor of this connector. */
bool position_read(position *p, pst_bytes cursor);

bool position_is_settled(const position *p, int64_t modified_us, const char *key);
/* Moves the place on, never back. */
void position_settle_time(position *p, int64_t modified_us, const char *key);
void position_settle_key(position *p, const char *key);

uint64_t position_print(const char *key, const char *etag);
bool position_has_room(const position *p);
void position_add(position *p, uint64_t print);

/* A listing runs from begin to end: what it did not find, or is settled by now, is forgotten. */
void position_listing_begins(position *p);
bool position_find(position *p, uint64_t print); /* it was read, and is listed */
void position_listing_ends(position *p);
#endif
