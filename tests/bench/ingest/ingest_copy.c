/* The yardstick: the same rows by COPY … (FORMAT binary), one transaction a batch, and prints one line of
 * JSON. The bytes are made before the clock starts. The server is named by the PG* environment variables.
 *   ingest_copy --table raw.rows --batch N --rows N --connections N --first ROW */
#include <endian.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feed.h"

#define POSTGRES_EPOCH_US INT64_C(946684800000000)
enum { CONNECTIONS_MAX = 16, ROW_BYTES_MAX = 160 };

typedef struct parcel {
    char *bytes;
    size_t len;
} parcel;

static struct {
    parcel *parcels;
    uint64_t n;
    atomic_uint_fast64_t next, stored;
    char sql[256];
} run;

static char *put(char *p, const void *data, uint32_t len)
{
    uint32_t n = htobe32(len);
    memcpy(p, &n, 4);
    memcpy(p + 4, data, len);
    return p + 4 + len;
}

static char *put_integer(char *p, int64_t value)
{
    uint64_t n = htobe64((uint64_t)value);
    return put(p, &n, 8);
}

static char *put_number(char *p, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_integer(p, bits);
}

static char *put_row(char *p, uint64_t i)
{
    feed_row row;
    feed_row_make(i, &row);
    memcpy(p, "\0\10", 2);
    p = put_integer(p + 2, row.time_us - POSTGRES_EPOCH_US);
    p = put(p, row.device_id, (uint32_t)strlen(row.device_id));
    p = put_number(put_number(put_number(p, row.pressure), row.flow), row.temperature);
    p = put(p, row.status, (uint32_t)strlen(row.status));
    p = put_integer(p, (int64_t)i + 1);
    return put_integer(p, row.time_us - POSTGRES_EPOCH_US);
}

static void make_parcel(parcel *out, uint64_t first, uint64_t rows)
{
    char *p = out->bytes = malloc(64 + rows * ROW_BYTES_MAX);
    if (!p)
        exit(1);
    memcpy(p, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    p += 19;
    for (uint64_t i = 0; i < rows; i++)
        p = put_row(p, first + i);
    memcpy(p, "\377\377", 2);
    out->len = (size_t)(p + 2 - out->bytes);
}

static void fail(PGconn *c)
{
    fprintf(stderr, "%s", PQerrorMessage(c));
    exit(1);
}

static uint64_t copy_one(PGconn *c, const parcel *p)
{
    PGresult *r = PQexec(c, run.sql);
    if (PQresultStatus(r) != PGRES_COPY_IN)
        fail(c);
    PQclear(r);
    if (PQputCopyData(c, p->bytes, (int)p->len) != 1 || PQputCopyEnd(c, NULL) != 1)
        fail(c);
    uint64_t rows = 0;
    while ((r = PQgetResult(c))) {
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            fail(c);
        rows = strtoull(PQcmdTuples(r), NULL, 10);
        PQclear(r);
    }
    return rows;
}

static void *writer(void *arg)
{
    PGconn *c = arg;
    for (uint64_t i; (i = atomic_fetch_add(&run.next, 1)) < run.n;)
        atomic_fetch_add(&run.stored, copy_one(c, &run.parcels[i]));
    return NULL;
}

static void run_writers(PGconn **connections, uint64_t n)
{
    pthread_t threads[CONNECTIONS_MAX];
    for (uint64_t i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, writer, connections[i]) != 0)
            exit(1);
    for (uint64_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    uint64_t batch = feed_number(argc, argv, "batch", 1000), rows = feed_number(argc, argv, "rows", 100000),
             n = feed_number(argc, argv, "connections", 1), first = feed_number(argc, argv, "first", 0);
    PGconn *connections[CONNECTIONS_MAX];
    run.n = rows / batch;
    run.parcels = calloc(run.n + 1, sizeof *run.parcels);
    if (!run.parcels || n == 0 || n > CONNECTIONS_MAX)
        return 2;
    for (uint64_t i = 0; i < run.n; i++)
        make_parcel(&run.parcels[i], first + i * batch, batch);
    snprintf(run.sql, sizeof run.sql,
             "COPY %s (time, device_id, pressure, flow, temperature, status, _seq, _received) FROM STDIN "
             "(FORMAT binary)",
             feed_option(argc, argv, "table", "raw.rows"));
    for (uint64_t i = 0; i < n; i++) {
        connections[i] = PQconnectdb("application_name=raw_copy");
        if (PQstatus(connections[i]) != CONNECTION_OK)
            fail(connections[i]);
    }
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    run_writers(connections, n);
    int64_t us = feed_clock_us() - from;
    cpu = feed_cpu_seconds() - cpu;
    for (uint64_t i = 0; i < n; i++)
        PQfinish(connections[i]);
    printf("{\"accepted\": %llu, \"bad\": 0, \"seconds\": %.6f, \"cpu_seconds\": %.3f}\n",
           (unsigned long long)run.stored, (double)us / 1e6, cpu);
    return 0;
}
