/* The rows of the feed as COPY BINARY for a table made LIKE the datastore's, and a transaction's COPY: what
 * the yardsticks in C share. */
#ifndef PENSTOCK_BENCH_COPY_ROWS_H
#define PENSTOCK_BENCH_COPY_ROWS_H
#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_ROWS_COLUMNS "time, device_id, pressure, flow, temperature, status, _seq, _received"
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

typedef struct copy_parcel {
    char *bytes;
    size_t len;
} copy_parcel;

/* Rows first … first + rows - 1; the bytes are the caller's. */
void copy_parcel_make(copy_parcel *out, uint64_t first, uint64_t rows);
/* Runs `COPY … FROM STDIN (FORMAT binary)` with them and returns the number of rows; ends the program on an
 * error, as the next two do. */
uint64_t copy_parcel_send(PGconn *c, const char *sql, const copy_parcel *p);
PGconn *copy_connect(const char *application);
void copy_exec(PGconn *c, const char *sql);
void copy_fail(PGconn *c);
#endif
