/* Rows as CSV (RFC 4180): a header, then a row a line; null is an empty cell, an empty text is "". */
#ifndef S3_OUT_CSV_H
#define S3_OUT_CSV_H
#include "penstock/sink.h"

void csv_write(const pst_rows *rows, pst_text *out);
#endif
