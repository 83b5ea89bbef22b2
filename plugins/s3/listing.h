/* Reads what S3 answers in XML: a page of ListObjectsV2, and errors. Documents with a DTD are refused. */
#ifndef S3_LISTING_H
#define S3_LISTING_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "penstock/batch.h"

enum { LISTING_KEY_MAX = 1025, LISTING_ETAG_MAX = 120, LISTING_TOKEN_MAX = 4096 };

typedef struct listing_object { /* lives for the call */
    const char *key;            /* decoded */
    const char *etag;           /* with its quotes, "" = none */
    int64_t modified_us;
    uint64_t bytes;
} listing_object;

typedef struct listing_page {
    void (*on_object)(void *arg, const listing_object *o);
    void (*on_prefix)(void *arg, const char *prefix); /* or NULL */
    void *arg;
    bool more; /* out: there is another page, and how it is asked for */
    char token[LISTING_TOKEN_MAX];
} listing_page;

typedef struct listing_fault {
    char code[64], message[200], region[64]; /* "" = not said */
} listing_fault;

/* PST_E_DATA: that is no page of a listing, or not a whole one; objects may have been told before that shows.
 */
pst_status listing_read(pst_bytes xml, listing_page *page, pst_error *error);
/* What an <Error> says; empty if it is none. */
void listing_fault_read(pst_bytes xml, listing_fault *out);
#endif
