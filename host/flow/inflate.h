/* Takes gzip and zstd off a request body, with a cap on what comes out and on its ratio to what went in, so
 * that a small body cannot become a large one in memory. Truncated data, wrong checks, and anything after the
 * last gzip member or zstd frame are refused; several members or frames in a row are one body. */
#ifndef PENSTOCK_FLOW_INFLATE_H
#define PENSTOCK_FLOW_INFLATE_H
#include <stdbool.h>

#include "base/status.h"
#include "base/text.h"

typedef enum inflate_coding { INFLATE_IDENTITY, INFLATE_GZIP, INFLATE_ZSTD } inflate_coding;
/* A Content-Encoding: "identity", "gzip", "x-gzip", "zstd"; false for any other. NULL and "" are identity. */
bool inflate_coding_parse(const char *word, inflate_coding *out);

#define INFLATE_RATIO_MAX 200U /* of output to input, asked once INFLATE_RATIO_FREE bytes are out */
#define INFLATE_RATIO_FREE (1U << 20)
#define INFLATE_MEMBERS_MAX 1024U

/* Appends to `out` (cleared first). STATUS_LIMIT: more than `limit` bytes, or the ratio; STATUS_INVALID: not
 * that coding. */
status_class inflate_body(inflate_coding coding, const void *data, size_t len, size_t limit, text *out,
                          status *st);
#endif
