/* What streams a bucket has, and examples of their records. */
#ifndef S3_DISCOVER_H
#define S3_DISCOVER_H
#include "queue.h"
#include "reading.h"

enum { DISCOVER_STREAMS_MOST = 50 };

/* `streams`: the folders right below the prefix, otherwise all is one. */
pst_status discover_write(bucket *b, queue *q, reading *r, bool streams, const pst_call *call,
                          pst_blob *json_out, pst_error *error);
#endif
