/* Dead letters: rows that could not go on, with their bytes and the reason, in the workspace's own data
 * plane. */
#ifndef PENSTOCK_FLOW_DEAD_LETTER_H
#define PENSTOCK_FLOW_DEAD_LETTER_H
#include "flow/journal.h"
#include "flow/rejected.h"
#include "store/connection.h"

/* Inside the transaction that moves the record's position. */
status_class dead_letter_write(connection *c, const journal_record *from, const rejected_row *rows,
                               uint32_t n, status *st);
#endif
