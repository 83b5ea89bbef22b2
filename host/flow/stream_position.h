/* Where a stream of the journal stands in the data plane: the number of its last record whose rows are there.
 *
 * A position moves by compare-and-set inside the transaction that writes the rows: a record is written by one
 * writer and once, whoever else tries. Blocking; for a writer's lane. */
#ifndef PENSTOCK_FLOW_STREAM_POSITION_H
#define PENSTOCK_FLOW_STREAM_POSITION_H
#include "flow/write_record.h"
#include "store/connection.h"

#define STREAM_POSITIONS_ALONG 8

/* The position of the record's stream as the data plane has it; 0 = none. */
status_class stream_position_read(const uint8_t incarnation[16], connection *c, const journal_record *record,
                                  uint64_t *seq_out, status *st);
/* Begins a transaction and moves the position of each stream in `records`, which stand in the order of their
 * streams, to the last of its records. Mostly one round trip, in which up to STREAM_POSITIONS_ALONG other
 * statements go along.
 * STATUS_CONFLICT: a position was not where a record expects it. */
status_class stream_positions_move(const uint8_t incarnation[16], connection *c, const write_record *records,
                                   uint32_t n, const statement_call *along, unsigned n_along, status *st);
#endif
