/* A sample of the records as a stream. */
#ifndef HTTP_POLL_DISCOVER_H
#define HTTP_POLL_DISCOVER_H
#include "client.h"

/* `records`: JSON Pointer to the array in the answer; where there is none, the first array of objects that is
 * found. */
pst_status discover_write(const pst_host *host, const pull_answer *answer, const char *records,
                          pst_blob *json_out, pst_error *error);
#endif
