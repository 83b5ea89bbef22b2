/* Is a column that came out of a cell what it says? Everything is checked before it is used: sizes without
 * overflow, offsets in order and inside the data, UTF-8, times in range. The memory must be the host's own
 * copy. */
#ifndef PENSTOCK_PLUGIN_BATCH_CHECK_H
#define PENSTOCK_PLUGIN_BATCH_CHECK_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "penstock/batch.h"
#include "wire/frame.h"

typedef struct checked_column {
    const char *name;
    pst_type type;
    uint32_t n_rows;
    bool raw; /* bytes of undecoded records: no UTF-8 */
    frame_item valid, values, data;
} checked_column;

/* INVALID with "column:row" in st->where. */
status_class batch_check_column(const checked_column *c, status *st);
#endif
