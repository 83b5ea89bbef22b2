/* What `discover` answers: streams, each with a title and a few messages that came, which the host reads by
 * the connector's `decode` and from which it guesses a schema. */
#ifndef STREAMING_LISTING_H
#define STREAMING_LISTING_H
#include <stdbool.h>

#include "penstock/batch.h"

enum { LISTING_STREAMS_MAX = 50, LISTING_EXAMPLES_MAX = 20, LISTING_EXAMPLE_BYTES = 4000 };

typedef struct listing listing;
listing *listing_create(const pst_host *host); /* NULL: no memory */
void listing_free(listing *l);                 /* NULL is fine */
/* Its number; -1: there are as many as there can be. The same name again gives the same number and keeps its
 * title. */
int listing_stream(listing *l, const char *name, const char *title);
void listing_title(listing *l, int stream, const char *title);
/* A JSON Schema of a row, where it is known; it lives as long as the listing. */
void listing_schema(listing *l, int stream, const char *schema);
/* A message with what stands beside it (NULL: nothing); kept if it is JSON that is not too long, and there is
 * room. False: it is no JSON. */
bool listing_example(listing *l, int stream, const void *payload, size_t len, const char *meta);
/* Every stream has as many as are of use. */
bool listing_full(const listing *l);
pst_status listing_finish(const listing *l, pst_blob *json_out, pst_error *error);
#endif
