/* The yardstick of the default ack: the journal records of the same requests, appended to a file and synced
 * with fdatasync, in groups: what comes within the window (5,000 us) after a group's first request is one
 * sync; with a window of 0 what has come while the last sync ran. Each client waits for its sync before it
 * goes on. Prints one line of JSON. ingest_append --folder DIR --window US --batch N --rows N --clients N
 * --shards N --first ROW */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/batch_split.h"
#include "feed.h"
#include "flow/journal_record.h"

enum { CLIENTS_MAX = 256, SHARDS_MAX = 16, COLUMNS = 6 };

typedef struct request {
    void *records[SHARDS_MAX];
    size_t lens[SHARDS_MAX];
    unsigned n;
} request;

static struct {
    request *requests;
    int64_t *took_us;
    uint64_t n, batch, clients;
    atomic_uint_fast64_t next;
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t came, synced;
    const request *waiting[CLIENTS_MAX];
    unsigned n_waiting;
    int64_t window_us, first_us; /* when the first of them came */
    uint64_t group;
    bool ended;
} run = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER, .synced = PTHREAD_COND_INITIALIZER};

static void make_request(request *out, uint64_t first, uint64_t rows, unsigned shards)
{
    static const column_type types[COLUMNS] = {COLUMN_TIMESTAMP, COLUMN_TEXT,   COLUMN_NUMBER,
                                               COLUMN_NUMBER,    COLUMN_NUMBER, COLUMN_TEXT};
    static const char names[] = "time\0device_id\0pressure\0flow\0temperature\0status";
    journal_field field = {1, sizeof names, names};
    batch parts[SHARDS_MAX];
    uint32_t entity = 1;
    arena *a = arena_create(1 << 16);
    batch_builder *b = batch_builder_create(types, COLUMNS);
    for (uint64_t i = first; i < first + rows; i++) {
        feed_row row;
        feed_row_make(i, &row);
        batch_builder_int64(b, 0, row.time_us);
        batch_builder_text(b, 1, row.device_id, strlen(row.device_id));
        batch_builder_number(b, 2, row.pressure);
        batch_builder_number(b, 3, row.flow);
        batch_builder_number(b, 4, row.temperature);
        batch_builder_text(b, 5, row.status, strlen(row.status));
        batch_builder_end_row(b);
    }
    batch whole = batch_builder_freeze(b);
    batch_split(&whole, &entity, 1, shards, a, parts);
    for (unsigned i = 0; i < shards; i++) {
        status st;
        if (parts[i].n_rows == 0)
            continue;
        journal_entry e = {.kind = JOURNAL_ROWS,
                           .wid = 1,
                           .store = "readings",
                           .origin = "http",
                           .request_id = "req_00000000000000000000000000",
                           .rows = &parts[i],
                           .fields = &field,
                           .n_fields = 1};
        if (record_encode(&e, &out->records[out->n], &out->lens[out->n], &st) != STATUS_OK)
            exit(1);
        out->n++;
    }
    batch_builder_free(b);
    arena_free(a);
}

static void *client(void *arg)
{
    (void)arg;
    for (uint64_t i; (i = atomic_fetch_add(&run.next, 1)) < run.n;) {
        int64_t from = feed_clock_us();
        pthread_mutex_lock(&run.lock);
        uint64_t mine = run.group;
        if (run.n_waiting == 0)
            run.first_us = from;
        run.waiting[run.n_waiting++] = &run.requests[i];
        pthread_cond_signal(&run.came);
        while (run.group == mine)
            pthread_cond_wait(&run.synced, &run.lock);
        pthread_mutex_unlock(&run.lock);
        run.took_us[i] = feed_clock_us() - from;
    }
    return NULL;
}

/* Waits for a first request, then until the window is over. Under the lock. */
static void gather(void)
{
    while (run.n_waiting == 0 && !run.ended)
        pthread_cond_wait(&run.came, &run.lock);
    for (int64_t left; !run.ended && (left = run.first_us + run.window_us - feed_clock_us()) > 0;) {
        pthread_mutex_unlock(&run.lock);
        usleep((useconds_t)left);
        pthread_mutex_lock(&run.lock);
    }
}

static void append(const request *const *group, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < group[i]->n; k++)
            if (write(run.fd, group[i]->records[k], group[i]->lens[k]) != (ssize_t)group[i]->lens[k])
                exit(1);
    if (n && fdatasync(run.fd) != 0)
        exit(1);
}

static void *sync_groups(void *arg)
{
    const request *group[CLIENTS_MAX];
    pthread_mutex_lock(&run.lock);
    while (!run.ended) {
        gather();
        unsigned n = run.n_waiting;
        memcpy(group, run.waiting, n * sizeof *group);
        run.n_waiting = 0;
        uint64_t number = run.group + (n > 0);
        pthread_mutex_unlock(&run.lock);
        append(group, n);
        pthread_mutex_lock(&run.lock);
        run.group = number;
        pthread_cond_broadcast(&run.synced);
    }
    pthread_mutex_unlock(&run.lock);
    return arg;
}

static void run_clients(void)
{
    pthread_t threads[CLIENTS_MAX], syncer;
    if (pthread_create(&syncer, NULL, sync_groups, NULL) != 0)
        exit(1);
    for (uint64_t i = 0; i < run.clients; i++)
        if (pthread_create(&threads[i], NULL, client, NULL) != 0)
            exit(1);
    for (uint64_t i = 0; i < run.clients; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&run.lock);
    run.ended = true;
    pthread_cond_signal(&run.came);
    pthread_mutex_unlock(&run.lock);
    pthread_join(syncer, NULL);
}

int main(int argc, char **argv)
{
    char path[4096];
    uint64_t rows = feed_number(argc, argv, "rows", 100000), first = feed_number(argc, argv, "first", 0);
    unsigned shards = (unsigned)feed_number(argc, argv, "shards", 2);
    run.batch = feed_number(argc, argv, "batch", 1000);
    run.window_us = (int64_t)feed_number(argc, argv, "window", 5000);
    run.clients = feed_number(argc, argv, "clients", 4);
    run.n = rows / run.batch;
    run.requests = calloc(run.n + 1, sizeof *run.requests);
    run.took_us = calloc(run.n + 1, sizeof *run.took_us);
    snprintf(path, sizeof path, "%s/appended", feed_option(argc, argv, "folder", "."));
    run.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!run.requests || !run.took_us || run.n == 0 || run.fd < 0 || run.clients == 0 ||
        run.clients > CLIENTS_MAX || shards == 0 || shards > SHARDS_MAX)
        return 2;
    for (uint64_t i = 0; i < run.n; i++)
        make_request(&run.requests[i], first + i * run.batch, run.batch, shards);
    double cpu = feed_cpu_seconds();
    int64_t from = feed_clock_us();
    run_clients();
    int64_t us = feed_clock_us() - from;
    cpu = feed_cpu_seconds() - cpu;
    close(run.fd);
    unlink(path);
    feed_report(
        &(feed_figures){.accepted = rows, .us = us, .cpu_seconds = cpu, .took_us = run.took_us, .n = run.n});
    return 0;
}
