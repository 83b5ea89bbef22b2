/* The rows of the ingest measurement: row i is the same for every program that asks for it, and no two rows
 * are alike. 100 devices in turn, 10 ms from row to row, so that a million rows lie in one month. */
#ifndef PENSTOCK_BENCH_FEED_H
#define PENSTOCK_BENCH_FEED_H
#include <stdint.h>

#define FEED_FROM_US INT64_C(1768435200000000) /* 2026-01-15T00:00:00Z */
#define FEED_STEP_US 10000
#define FEED_DEVICES 100

typedef struct feed_row {
    int64_t time_us;
    char device_id[16];
    double pressure, flow, temperature;
    const char *status;
} feed_row;

void feed_row_make(uint64_t i, feed_row *out);
/* The row as one line of JSON with its newline; returns the length. `out` has room for FEED_LINE_MAX. */
#define FEED_LINE_MAX 256
int feed_row_json(const feed_row *row, char *out);
/* The same as a line of InfluxDB's protocol, measurement `readings`. */
int feed_row_line(const feed_row *row, char *out);
/* The value of `--name` in argv, else `otherwise`. */
const char *feed_option(int argc, char **argv, const char *name, const char *otherwise);
uint64_t feed_number(int argc, char **argv, const char *name, uint64_t otherwise);
int64_t feed_clock_us(void); /* monotonic */
double feed_cpu_seconds(void);
/* What a program says at its end: one line of JSON. `took_us` (of n requests or transactions) is sorted. */
typedef struct feed_figures {
    uint64_t accepted, bad;
    int64_t us;
    double cpu_seconds;
    int64_t *took_us;
    uint64_t n;
} feed_figures;
void feed_report(feed_figures *f);
#endif
