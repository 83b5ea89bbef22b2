/* How far each site has been read: what the cursor of the source holds, and all that is needed to go on
 * exactly there. Times are UTC. */
#ifndef HTTP_POLL_POSITION_H
#define HTTP_POLL_POSITION_H
#include <stdbool.h>
#include <stdint.h>

#include "client.h"

enum { POSITION_NEXT_MAX = 2048, POSITION_CURSOR_MAX = 65536 };

typedef struct position {
    int64_t due_us;         /* the next poll; 0 = at once */
    int64_t from_us, to_us; /* the window of the poll that runs, or of the last one; to 0 = there was none */
    uint64_t number;        /* page: pages read of this poll; offset: records */
    uint32_t pages;         /* read of this poll; 0 = none runs */
    char next[POSITION_NEXT_MAX]; /* cursor or URL of the page that comes, "" = the first */
    uint64_t print;               /* of the URL that the two below belong to */
    char etag[PULL_ETAG_MAX], modified[64];
} position;

/* Begins a cursor: the site that was asked last. */
void position_begin(const char *last, wording *out);
/* Was this the site asked last? */
bool position_was_last(const char *cursor, const char *site);
/* One line a site: its name, numbers, and the texts in URL form. */
void position_write(const position *p, const char *site, wording *out);
/* The line of that site, if there is one: what was read of a site that is gone is forgotten. False: that is
 * no cursor of this connector. */
bool position_read(const char *cursor, const char *site, position *out);
#endif
