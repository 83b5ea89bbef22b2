/* One object as records: its ranges one after the other, unpacked, cut, put into a batch. Goes on in the
 * middle of an object's text; where the object is packed it is read from its start for that, and what is
 * known is passed over. */
#ifndef S3_READING_H
#define S3_READING_H
#include "bucket.h"
#include "cutter.h"
#include "unpack.h"

typedef struct reading {
    bucket *bucket;
    cutter cut;
    unpack pack;
    cutter_kind kind; /* configured, unless it goes by the name */
    bool by_name, header;
    size_t range;                                      /* bytes asked for at once */
    char key[LISTING_KEY_MAX], etag[LISTING_ETAG_MAX]; /* key "" = none is read */
    uint64_t total, fetched, resume;
    const char *at; /* of the piece that is here */
    size_t left;
    bool last, ended; /* no more bytes come; all records are taken */
} reading;

/* Reads the settings records, header, range_bytes and max_record_bytes. reading_close also after a failure.
 */
pst_status reading_open(reading *r, const pst_host *host, bucket *b, pst_error *error);
void reading_close(reading *r);

/* etag "": whichever version is there. `offset` in the text; 0 = from the start. */
void reading_begin(reading *r, const char *key, const char *etag, uint64_t bytes, uint64_t offset);
void reading_end(reading *r);
/* Records into the batch, until there are `max_rows` or enough bytes, or the object has ended. After a
 * failure what was taken before it is there. */
pst_status reading_go(reading *r, const pst_call *call, uint32_t max_rows, pst_error *error);
#endif
