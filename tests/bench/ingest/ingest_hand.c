/* What a keyed store with one featurestore costs when it is driven by hand: each batch in one transaction
 * that does what the product's must do (position by compare-and-set, staging and INSERT … ON CONFLICT, dirty
 * marks, ledger), and a refresher every second. The tables stand in one schema, LIKE the product's.
 * Prints one line of JSON when the last batch is committed and the features are up to date; the clock stops
 * before that last refresh.
 *   ingest_hand --schema NAME --batch N --rows N --connections N --first ROW */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "copy_rows.h"
#include "feed.h"

enum { CONNECTIONS_MAX = 16, REFRESH_EVERY_S = 1 };

static const char staging_sql[] = "CREATE TEMP TABLE staging (LIKE rows) ON COMMIT DELETE ROWS";
static const char copy_sql[] = "COPY staging (" COPY_ROWS_COLUMNS ") FROM STDIN (FORMAT binary)";
static const char upsert_sql[] =
    "INSERT INTO rows AS t (" COPY_ROWS_COLUMNS ") SELECT DISTINCT ON (device_id, time) " COPY_ROWS_COLUMNS
    " FROM staging ORDER BY device_id, time, _seq DESC ON CONFLICT (device_id, time) DO UPDATE SET"
    " pressure = excluded.pressure, flow = excluded.flow, temperature = excluded.temperature,"
    " status = excluded.status, _seq = excluded._seq, _received = excluded._received"
    " WHERE t._seq < excluded._seq";
static const char marks_sql[] =
    "INSERT INTO dirty (dependant, bucket, entity, seq) SELECT 'minutes', date_bin('10 minutes', time,"
    " 'epoch') AS b, ARRAY[device_id], max(_seq) FROM staging GROUP BY b, device_id";
static const char keys_sql[] = "CREATE TEMP TABLE keys (bucket timestamptz, device_id text "
                               "COLLATE \"C\") ON COMMIT DELETE ROWS";
static const char refresh_sql[] =
    "BEGIN; WITH gone AS (DELETE FROM dirty WHERE dependant = 'minutes' RETURNING bucket, entity)"
    " INSERT INTO keys SELECT DISTINCT bucket, entity[1] FROM gone;"
    " DELETE FROM features f USING keys k WHERE f.bucket = k.bucket AND f.device_id = k.device_id;"
    " INSERT INTO features (bucket, device_id, n, pressure_avg, flow_max)"
    " SELECT k.bucket, k.device_id, a.n, a.p, a.f FROM keys k CROSS JOIN LATERAL (SELECT count(*) AS n,"
    " avg(pressure) AS p, max(flow) AS f FROM rows t WHERE t.device_id = k.device_id"
    " AND t.time >= k.bucket AND t.time < k.bucket + interval '10 minutes') a; COMMIT";

static struct {
    copy_parcel *parcels;
    int64_t *took_us;
    uint64_t n, batch;
    const char *schema;
    atomic_uint_fast64_t next, stored;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool ended;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static uint64_t prepared(PGconn *c, const char *name)
{
    PGresult *r = PQexecPrepared(c, name, 0, NULL, NULL, NULL, 0);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        copy_fail(c);
    uint64_t n = strtoull(PQcmdTuples(r), NULL, 10);
    PQclear(r);
    return n;
}

static uint64_t commit_batch(PGconn *c, unsigned number, uint64_t position, const copy_parcel *p)
{
    char sql[640];
    snprintf(
        sql, sizeof sql,
        "BEGIN; UPDATE \"position\" SET seq = %llu WHERE store = 'readings' AND lane = 0 AND shard = %u AND "
        "seq = %llu",
        (unsigned long long)position + 1, number, (unsigned long long)position);
    copy_exec(c, sql);
    copy_parcel_send(c, copy_sql, p);
    uint64_t rows = prepared(c, "store");
    prepared(c, "mark");
    snprintf(sql, sizeof sql,
             "INSERT INTO ledger AS l (store, minute, keeper, received, stored) VALUES ('readings',"
             " date_trunc('minute', now()), %u, %llu, %llu) ON CONFLICT (store, minute, keeper) DO UPDATE SET"
             " received = l.received + excluded.received, stored = l.stored + excluded.stored; COMMIT",
             number + 1, (unsigned long long)run.batch, (unsigned long long)rows);
    copy_exec(c, sql);
    return rows;
}

static void prepare(PGconn *c, const char *name, const char *sql)
{
    PGresult *r = PQprepare(c, name, sql, 0, NULL);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        copy_fail(c);
    PQclear(r);
}

static PGconn *connect_with(const char *temporary)
{
    char sql[100];
    PGconn *c = copy_connect("by_hand");
    snprintf(sql, sizeof sql, "SET jit = off; SET search_path = %s", run.schema);
    copy_exec(c, sql);
    copy_exec(c, temporary);
    return c;
}

static PGconn *connect_writer(unsigned number)
{
    char sql[200];
    PGconn *c = connect_with(staging_sql);
    prepare(c, "store", upsert_sql);
    prepare(c, "mark", marks_sql);
    snprintf(sql, sizeof sql,
             "INSERT INTO \"position\" (incarnation, wid, store, lane, shard, seq) VALUES"
             " ('00000000-0000-0000-0000-000000000000', 1, 'readings', 0, %u, 0)",
             number);
    copy_exec(c, sql);
    return c;
}

typedef struct writer {
    pthread_t thread;
    unsigned number;
    PGconn *c;
} writer;

static void *write_batches(void *arg)
{
    writer *w = arg;
    uint64_t position = 0;
    for (uint64_t i; (i = atomic_fetch_add(&run.next, 1)) < run.n;) {
        int64_t from = feed_clock_us();
        atomic_fetch_add(&run.stored, commit_batch(w->c, w->number, position++, &run.parcels[i]));
        run.took_us[i] = feed_clock_us() - from;
    }
    return NULL;
}

static void *refresh(void *arg)
{
    PGconn *c = arg;
    pthread_mutex_lock(&run.lock);
    while (!run.ended) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += REFRESH_EVERY_S;
        pthread_cond_timedwait(&run.wake, &run.lock, &until);
        pthread_mutex_unlock(&run.lock);
        copy_exec(c, refresh_sql);
        pthread_mutex_lock(&run.lock);
    }
    pthread_mutex_unlock(&run.lock);
    return NULL;
}

static void end_refresher(pthread_t thread)
{
    pthread_mutex_lock(&run.lock);
    run.ended = true;
    pthread_cond_signal(&run.wake);
    pthread_mutex_unlock(&run.lock);
    pthread_join(thread, NULL);
}

static void write_all(writer *writers, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (pthread_create(&writers[i].thread, NULL, write_batches, &writers[i]) != 0)
            exit(1);
    for (uint64_t i = 0; i < n; i++)
        pthread_join(writers[i].thread, NULL);
}

int main(int argc, char **argv)
{
    uint64_t rows = feed_number(argc, argv, "rows", 100000), n = feed_number(argc, argv, "connections", 2),
             first = feed_number(argc, argv, "first", 0);
    writer writers[CONNECTIONS_MAX];
    pthread_t refresher;
    run.schema = feed_option(argc, argv, "schema", "hand");
    run.batch = feed_number(argc, argv, "batch", 1000);
    run.n = rows / run.batch;
    run.parcels = calloc(run.n + 1, sizeof *run.parcels);
    run.took_us = calloc(run.n + 1, sizeof *run.took_us);
    if (!run.parcels || !run.took_us || run.n == 0 || n == 0 || n > CONNECTIONS_MAX)
        return 2;
    for (uint64_t i = 0; i < run.n; i++)
        copy_parcel_make(&run.parcels[i], first + i * run.batch, run.batch);
    for (unsigned i = 0; i < n; i++)
        writers[i] = (writer){.number = i, .c = connect_writer(i)};
    PGconn *features = connect_with(keys_sql);
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    if (pthread_create(&refresher, NULL, refresh, features) != 0)
        return 1;
    write_all(writers, n);
    int64_t us = feed_clock_us() - from;
    end_refresher(refresher);
    cpu = feed_cpu_seconds() - cpu;
    feed_report(&(feed_figures){
        .accepted = run.stored, .us = us, .cpu_seconds = cpu, .took_us = run.took_us, .n = run.n});
    return 0; /* the server drops the connections with the program */
}
