/* One bucket of an S3 server: pages of its listing, pieces of its objects, objects written. Signs each
 * request; rate, trust, proxy and time limits are those of pull/client.h. Reads these settings of the
 * connector:
 *
 *   url          https://bucket.s3.eu-central-1.amazonaws.com, or with the bucket as its path
 *   region       that the signature names
 *   credentials  {access_key, secret_key, session_token}: secrets; without them nothing is signed
 *   tls, proxy, rate, timeout_ms
 *
 * One thread, one question at a time. */
#ifndef S3_BUCKET_H
#define S3_BUCKET_H
#include "client.h"
#include "listing.h"

/* Whose trouble a failure is. */
typedef enum bucket_trouble {
    BUCKET_FINE,
    BUCKET_CHANGED, /* the object is not the one of that etag any more */
    BUCKET_GONE,    /* there is no such object */
    BUCKET_ITS_OWN, /* this object cannot be read, others may */
    BUCKET_WAITS,   /* told to come again later */
    BUCKET_FAILS    /* the bucket, the credential or the connection */
} bucket_trouble;

typedef struct bucket {
    const pst_host *host;
    pull_client client;
    char scheme[8], authority[PULL_ORIGIN_MAX], base[128]; /* base: "" or "/bucket" */
    const char *region;
    bucket_trouble trouble; /* of the last question */
    listing_fault fault;    /* what the server said about it */
    char range[80], date[48], region_said[64];
    wording path, query, url;
} bucket;

typedef struct bucket_page {
    const char *prefix, *after, *delimiter; /* or NULL */
    const char *token;                      /* of the page before, or NULL */
    unsigned most;                          /* objects, 0 = as the server likes */
} bucket_page;

typedef struct bucket_piece { /* lives until the next question */
    const char *data;
    size_t len;
    uint64_t total; /* bytes of the whole object */
    char etag[LISTING_ETAG_MAX];
} bucket_piece;

/* Checks the settings; no I/O. `most`: bytes of one answer. bucket_close also after a failure; zeroed is
 * fine. */
pst_status bucket_open(bucket *b, const pst_host *host, size_t most, pst_error *error);
void bucket_close(bucket *b);
/* Ends connections; certificates are fetched again by the next question. */
void bucket_rest(bucket *b);

/* *at_us_out is the server's clock (ours, if it does not tell), set before the first object is told. */
pst_status bucket_list(bucket *b, const pst_call *call, const bucket_page *q, listing_page *page,
                       int64_t *at_us_out, pst_error *error);
/* At most `len` bytes from `from`, which is below the object's length. etag "": whatever is there. */
pst_status bucket_read(bucket *b, const pst_call *call, const char *key, const char *etag, uint64_t from,
                       size_t len, bucket_piece *out, pst_error *error);
/* Makes the object, or replaces it. */
pst_status bucket_write(bucket *b, const pst_call *call, const char *key, const char *type, const void *data,
                        size_t len, pst_error *error);
/* An etag without its quotes. */
void bucket_etag(const char *text, char out[LISTING_ETAG_MAX]);
#endif
