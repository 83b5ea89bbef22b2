/* The journal against plain append + fdatasync of the same bytes in the same groups, in turn, and what
 * readers cost. Clients submit 1,000-row records and wait for the ack; usage: journal_bench [FOLDER
 * [clients [seconds]]]; without a folder one is made below TMPDIR. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "flow/journal.h"
#include "flow/journal_record.h"

#define ROUNDS 5
#define CLIENTS_MAX 64
static const double ratio_goal = 0.6;

typedef struct bench {
    journal *j;
    batch rows;
    int fd;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    unsigned waiting;
    uint64_t group;
    size_t record_bytes;
    char *record;
    _Atomic bool stop;
    _Atomic uint64_t n;
    uint64_t groups;
} bench;

static void *submit_loop(void *arg)
{
    bench *b = arg;
    journal_entry e = {
        .kind = JOURNAL_ROWS, .wid = 1, .store = "sensor_data", .rows = &b->rows, .received_us = 1};
    journal_submission s = {.entries = &e, .n_entries = 1};
    while (!b->stop) {
        status st;
        if (journal_submit_wait(b->j, &s, &st) != STATUS_OK) {
            fprintf(stderr, "%s\n", st.text);
            usleep(1000);
            continue;
        }
        b->n++;
    }
    return NULL;
}

/* Keeps the journal short, as a writer does. */
static void *trim_loop(void *arg)
{
    bench *b = arg;
    journal_stream s;
    while (!b->stop) {
        usleep(5000);
        if (journal_stream_find(b->j, 1, "sensor_data", JOURNAL_LIVE, 0, &s))
            journal_trim(b->j, s.id, s.last_seq);
    }
    return NULL;
}

/* The same clients on a plain file: the first of a group writes for all and syncs. */
static void *append_loop(void *arg)
{
    bench *b = arg;
    while (!b->stop) {
        pthread_mutex_lock(&b->lock);
        b->waiting++;
        uint64_t mine = b->group;
        pthread_cond_signal(&b->wake);
        while (b->group == mine && !b->stop)
            pthread_cond_wait(&b->done, &b->lock);
        pthread_mutex_unlock(&b->lock);
        b->n++;
    }
    return NULL;
}

static void *sync_loop(void *arg)
{
    bench *b = arg;
    while (!b->stop) {
        pthread_mutex_lock(&b->lock);
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 10000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!b->waiting)
            pthread_cond_timedwait(&b->wake, &b->lock, &until);
        unsigned n = b->waiting;
        b->waiting = 0;
        b->group += n > 0;
        pthread_mutex_unlock(&b->lock);
        for (unsigned i = 0; i < n; i++)
            if (write(b->fd, b->record, b->record_bytes) < 0)
                abort();
        if (n && fdatasync(b->fd) != 0)
            abort();
        b->groups += n > 0;
        pthread_mutex_lock(&b->lock);
        pthread_cond_broadcast(&b->done);
        pthread_mutex_unlock(&b->lock);
    }
    return NULL;
}

static double run(bench *b, void *(*client)(void *), void *(*other)(void *), unsigned clients, double seconds)
{
    pthread_t threads[CLIENTS_MAX], extra;
    b->stop = false;
    b->n = 0;
    int64_t from = clock_monotonic_us();
    for (unsigned i = 0; i < clients; i++)
        pthread_create(&threads[i], NULL, client, b);
    pthread_create(&extra, NULL, other, b);
    usleep((useconds_t)(seconds * 1e6));
    double rate = (double)b->n / ((double)(clock_monotonic_us() - from) / 1e6);
    b->stop = true;
    pthread_join(extra, NULL);
    pthread_mutex_lock(&b->lock);
    b->group++;
    pthread_cond_broadcast(&b->done);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < clients; i++)
        pthread_join(threads[i], NULL);
    return rate;
}

static void measure_read(bench *b)
{
    journal_stream s;
    status st;
    size_t n, total = 0;
    const journal_record *r;
    uint64_t after = 0;
    if (!journal_stream_find(b->j, 1, "sensor_data", JOURNAL_LIVE, 0, &s))
        return;
    arena *a = arena_create(1 << 20);
    journal_entry e = {
        .kind = JOURNAL_ROWS, .wid = 1, .store = "sensor_data", .rows = &b->rows, .received_us = 1};
    journal_submission one = {.entries = &e, .n_entries = 1};
    for (int i = 0; i < 500; i++)
        journal_submit_wait(b->j, &one, &st);
    after = s.last_seq;
    int64_t from = clock_monotonic_us();
    do {
        arena_reset(a);
        if (journal_read(b->j, s.id, after, 4 << 20, a, &r, &n, &st) != STATUS_OK)
            abort();
        total += n;
        after = n ? r[n - 1].seq : after;
    } while (n);
    printf("read back, CRC checked: %.4f us/row\n",
           (double)(clock_monotonic_us() - from) / (double)(total * b->rows.n_rows));
    arena_free(a);
}

static batch_builder *make_rows(uint32_t n)
{
    static const column_type types[] = {COLUMN_TIMESTAMP, COLUMN_TEXT,   COLUMN_NUMBER,
                                        COLUMN_NUMBER,    COLUMN_NUMBER, COLUMN_TEXT};
    batch_builder *b = batch_builder_create(types, 6);
    for (uint32_t i = 0; i < n; i++) {
        char device[16];
        batch_builder_int64(b, 0, i);
        batch_builder_text(b, 1, device, (size_t)snprintf(device, sizeof device, "pump-%03u", i % 100));
        for (uint32_t c = 2; c < 5; c++)
            batch_builder_number(b, c, i * 0.37 + c);
        batch_builder_text(b, 5, "ok", 2);
        batch_builder_end_row(b);
    }
    return b;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(bench *b, const char *folder, uint32_t n_rows, unsigned clients, double seconds)
{
    char path[4096];
    double ratios[ROUNDS];
    status st;
    batch_builder *builder = make_rows(n_rows);
    b->rows = batch_builder_freeze(builder);
    journal_entry e = {.kind = JOURNAL_ROWS, .store = "sensor_data", .rows = &b->rows};
    void *record;
    record_encode(&e, &record, &b->record_bytes, &st);
    b->record = record;
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(path, sizeof path, "%s/plain", folder);
        b->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        b->groups = 0;
        double plain = run(b, append_loop, sync_loop, clients, seconds);
        double plain_group = plain * seconds / (double)(b->groups ? b->groups : 1);
        close(b->fd);
        unlink(path);
        journal_stats before = journal_stats_get(b->j);
        double ours = run(b, submit_loop, trim_loop, clients, seconds);
        journal_stats after = journal_stats_get(b->j);
        double commits = (double)(after.commits - before.commits);
        printf("%u rows, %u clients: journal %7.0f records/s (%.1f a commit, %.2f ms a commit), plain %7.0f "
               "(%.1f a sync): %.2f\n",
               n_rows, clients, ours, (double)(after.records - before.records) / commits,
               (double)(after.commit_us_total - before.commit_us_total) / commits / 1000, plain, plain_group,
               ours / plain);
        ratios[round] = ours / plain;
    }
    qsort(ratios, ROUNDS, sizeof *ratios, by_value);
    printf("%u rows, %u clients: journal / append + fdatasync %.2f [%.2f..%.2f]", n_rows, clients,
           ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    if (n_rows == 1000)
        printf(", goal >= %.1f%s", ratio_goal, ratios[ROUNDS / 2] >= ratio_goal ? "" : "  MISSED");
    printf("\n");
    free(record);
    batch_builder_free(builder);
}

int main(int argc, char **argv)
{
    char made[4096];
    const char *tmp = getenv("TMPDIR"), *folder = argc > 1 ? argv[1] : made;
    snprintf(made, sizeof made, "%s/penstock-journal-XXXXXX", tmp ? tmp : "/tmp");
    if (argc < 2 && !mkdtemp(made))
        return 1;
    bench b = {.lock = PTHREAD_MUTEX_INITIALIZER,
               .wake = PTHREAD_COND_INITIALIZER,
               .done = PTHREAD_COND_INITIALIZER};
    unsigned clients = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
    double seconds = argc > 3 ? atof(argv[3]) : 1;
    char path[4096];
    status st;
    snprintf(path, sizeof path, "%s/journal", folder);
    journal_settings settings = {.folder = path, .size_bytes = (uint64_t)512 << 20};
    log_setup(2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
    if (clients > CLIENTS_MAX || journal_open(&settings, &b.j, &st) != STATUS_OK)
        return 1;
    measure(&b, folder, 1000, clients, seconds);
    measure(&b, folder, 1, clients, seconds);
    b.rows = (batch){0};
    batch_builder *rows = make_rows(1000);
    b.rows = batch_builder_freeze(rows);
    measure_read(&b);
    batch_builder_free(rows);
    journal_close(b.j);
    disk_remove_tree(argc < 2 ? made : path, &st);
    return 0;
}
