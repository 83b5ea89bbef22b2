/* The yardstick: the same rows by COPY … (FORMAT binary), one transaction a batch, and prints one line of
 * JSON. With a batch of 1 it is a prepared INSERT a transaction instead, which is quicker there. The bytes
 * are made before the clock starts. The server is named by the PG* environment variables.
 *   ingest_copy --table raw.rows --batch N --rows N --connections N --first ROW */
#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy_rows.h"
#include "feed.h"

enum { CONNECTIONS_MAX = 32, COLUMNS = 8 };

static struct {
    copy_parcel *parcels;
    int64_t *took_us;
    uint64_t n, batch;
    atomic_uint_fast64_t next, stored;
    char sql[256];
} run;

/* The fields of a parcel of one row, as they stand in it. */
static uint64_t insert_one(PGconn *c, const copy_parcel *p)
{
    const char *values[COLUMNS], *at = p->bytes + 19 + 2;
    int lengths[COLUMNS];
    static const int binary[COLUMNS] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int i = 0; i < COLUMNS; i++) {
        uint32_t len;
        memcpy(&len, at, sizeof len);
        lengths[i] = (int)be32toh(len);
        values[i] = at + 4;
        at += 4 + lengths[i];
    }
    PGresult *r = PQexecPrepared(c, "one", COLUMNS, values, lengths, binary, 1);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        copy_fail(c);
    uint64_t n = strtoull(PQcmdTuples(r), NULL, 10);
    PQclear(r);
    return n;
}

static void *writer(void *arg)
{
    PGconn *c = arg;
    for (uint64_t i; (i = atomic_fetch_add(&run.next, 1)) < run.n;) {
        int64_t from = feed_clock_us();
        uint64_t rows =
            run.batch == 1 ? insert_one(c, &run.parcels[i]) : copy_parcel_send(c, run.sql, &run.parcels[i]);
        run.took_us[i] = feed_clock_us() - from;
        atomic_fetch_add(&run.stored, rows);
    }
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

static PGconn *connect_writer(const char *table)
{
    PGconn *c = copy_connect("raw_copy");
    snprintf(run.sql, sizeof run.sql, "COPY %s (" COPY_ROWS_COLUMNS ") FROM STDIN (FORMAT binary)", table);
    if (run.batch > 1)
        return c;
    char insert[320];
    snprintf(insert, sizeof insert,
             "INSERT INTO %s (" COPY_ROWS_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", table);
    PGresult *r = PQprepare(c, "one", insert, 0, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        copy_fail(c);
    PQclear(r);
    return c;
}

int main(int argc, char **argv)
{
    uint64_t rows = feed_number(argc, argv, "rows", 100000), n = feed_number(argc, argv, "connections", 1),
             first = feed_number(argc, argv, "first", 0);
    PGconn *connections[CONNECTIONS_MAX];
    run.batch = feed_number(argc, argv, "batch", 1000);
    run.n = rows / run.batch;
    run.parcels = calloc(run.n + 1, sizeof *run.parcels);
    run.took_us = calloc(run.n + 1, sizeof *run.took_us);
    if (!run.parcels || !run.took_us || run.n == 0 || n == 0 || n > CONNECTIONS_MAX)
        return 2;
    for (uint64_t i = 0; i < run.n; i++)
        copy_parcel_make(&run.parcels[i], first + i * run.batch, run.batch);
    for (uint64_t i = 0; i < n; i++)
        connections[i] = connect_writer(feed_option(argc, argv, "table", "raw.rows"));
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    run_writers(connections, n);
    int64_t us = feed_clock_us() - from;
    cpu = feed_cpu_seconds() - cpu;
    for (uint64_t i = 0; i < n; i++)
        PQfinish(connections[i]);
    feed_report(&(feed_figures){
        .accepted = run.stored, .us = us, .cpu_seconds = cpu, .took_us = run.took_us, .n = run.n});
    return 0;
}
