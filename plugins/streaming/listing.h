/* What `discover` answers: streams, each with a title and a few example rows, from which the host guesses a
 * schema. */
#ifndef STREAMING_LISTING_H
#define STREAMING_LISTING_H
#include "penstock/batch.h"

enum { LISTING_STREAMS_MAX = 50, LISTING_EXAMPLES_MAX = 10, LISTING_EXAMPLE_BYTES = 4000 };

typedef struct listing listing;
listing *listing_create(const pst_host *host); /* NULL: no memory */
void listing_free(listing *l);                 /* NULL is fine */
/* Its number; -1: there are as many as there can be. The same name again gives the same number. */
int listing_stream(listing *l, const char *name, const char *title);
/* Kept if it is a JSON object, or an array, that is not too long, and there is room. */
void listing_example(listing *l, int stream, const void *payload, size_t len);
/* Every stream has as many as are of use. */
bool listing_full(const listing *l);
pst_status listing_finish(const listing *l, pst_blob *json_out, pst_error *error);
#endif
