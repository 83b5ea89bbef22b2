/* Between the libpq driver and rows: wraps a PGresult, which the rows own from then on. */
#ifndef PENSTOCK_STORE_ROWS_RESULT_H
#define PENSTOCK_STORE_ROWS_RESULT_H
#include <libpq-fe.h>

#include "store/rows.h"

rows *rows_from_result(PGresult *result);
#endif
