/* What a sink takes out of its store next: rows behind a number and up to another, as many as make a batch.
 *
 * Stores with a natural key have a B-tree on `_seq`, and are asked for all that is left. Others have a BRIN,
 * which gives every row of the pages that it does not rule out: they are looked through in spans of numbers,
 * as wide as a few batches' rows lie apart, wider and wider over a gap (a journal that was made anew counts
 * from the clock), and narrow again behind it. Blocks: on a lane, with a connection of the service's login.
 */
#ifndef PENSTOCK_FLOW_SINK_HAUL_H
#define PENSTOCK_FLOW_SINK_HAUL_H
#include "flow/metric.h"
#include "store/connection.h"
#include "store/table.h"

typedef struct sink_haul { /* zero it; rows are its owner's to free (metric_result_free) */
    metric_result rows;    /* with `_seq` and `_received`, the last two columns */
    uint32_t n;            /* of the rows, from the first on: what fits into a batch */
    uint64_t last;         /* the batch stands for everything behind the position up to here */
    bool full;             /* more will not fit */
    int64_t oldest_us;     /* when the first row was received; 0 = there is none */
} sink_haul;

typedef struct sink_search {
    const store_table *table; /* of a datastore */
    uint32_t rows_max;
    size_t bytes_max;
    uint64_t seen; /* nothing is left up to here */
    uint64_t span; /* how far is looked at once */
} sink_search;

void sink_search_begin(sink_search *s, uint64_t seq);
/* The next rows up to `limit`, below which nothing is to come. */
status_class sink_search_next(sink_search *s, connection *c, uint64_t limit, arena *a, sink_haul *out,
                              status *st);
/* A batch that was noted comes again as it was; rows that were corrected since are further on by now. */
status_class sink_search_noted(const sink_search *s, connection *c, uint64_t seq, uint64_t upto, arena *a,
                               sink_haul *out, status *st);
/* `_seq` and `_received` of the rows. */
const int64_t *sink_haul_seqs(const metric_result *rows);
const int64_t *sink_haul_received(const metric_result *rows);
#endif
