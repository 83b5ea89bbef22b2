/* Power cuts, simulated below the calls that write files: this program stands between LMDB and the kernel and
 * notes every write, sync and ack in their order. For each seed the disk is then built as a cut at some
 * moment may leave it: what was synced is there, of the rest each sector by chance. Every acked record must
 * be there once and whole. The last test turns the syncs into lies and must lose something, or the others
 * prove nothing.
 */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/random.h"
#include "flow/journal.h"

#define SEEDS 200
#define RECORDS 3000
#define STREAMS 3
#define SIZE_BYTES (4U << 20)
#define SECTOR 512U

/* ---- what was done, in order ---- */

typedef enum event_kind { EVENT_WRITE, EVENT_SYNCED_WRITE, EVENT_SYNC, EVENT_ACK, EVENT_TRIM } event_kind;

typedef struct event {
    event_kind kind;
    uint64_t at; /* of a write: its offset; of an ack: the record's number; of a trim: up to this one */
    uint32_t shard;
    size_t len;
    uint8_t *data;
} event;

static struct {
    pthread_mutex_t lock;
    bool on;
    dev_t device;
    ino_t file; /* data.mdb of the recorded journal */
    event *events;
    size_t n, cap;
} tape = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void record(event e)
{
    pthread_mutex_lock(&tape.lock);
    if (tape.n == tape.cap) {
        tape.cap = tape.cap ? tape.cap * 2 : 4096;
        tape.events = realloc(tape.events, tape.cap * sizeof *tape.events);
    }
    tape.events[tape.n++] = e;
    pthread_mutex_unlock(&tape.lock);
}

static bool is_recorded(int fd)
{
    struct stat s;
    return tape.on && fstat(fd, &s) == 0 && s.st_dev == tape.device && s.st_ino == tape.file;
}

static void record_write(int fd, const void *data, size_t len, off_t at)
{
    bool synced = fcntl(fd, F_GETFL) & O_DSYNC;
    uint8_t *copy = malloc(len);
    memcpy(copy, data, len);
    record((event){synced ? EVENT_SYNCED_WRITE : EVENT_WRITE, (uint64_t)at, 0, len, copy});
}

/* ---- in place of the C library's, for LMDB too ---- */

#define FOR_ALL __attribute__((visibility("default")))

FOR_ALL ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    if (is_recorded(fd))
        record_write(fd, data, len, at);
    return syscall(SYS_pwrite64, fd, data, len, at);
}

FOR_ALL ssize_t writev(int fd, const struct iovec *parts, int n)
{
    off_t at = is_recorded(fd) ? lseek(fd, 0, SEEK_CUR) : 0;
    for (int i = 0; i < n && is_recorded(fd); i++) {
        record_write(fd, parts[i].iov_base, parts[i].iov_len, at);
        at += (off_t)parts[i].iov_len;
    }
    return syscall(SYS_writev, fd, parts, n);
}

FOR_ALL int fdatasync(int fd)
{
    long done = syscall(SYS_fdatasync, fd);
    if (done == 0 && is_recorded(fd))
        record((event){.kind = EVENT_SYNC});
    return (int)done;
}

FOR_ALL int fsync(int fd)
{
    long done = syscall(SYS_fsync, fd);
    if (done == 0 && is_recorded(fd))
        record((event){.kind = EVENT_SYNC});
    return (int)done;
}

/* ---- the journal that is recorded ---- */

typedef struct in_flight {
    uint32_t shard;
    uint64_t number;
} in_flight;

static void on_done(void *arg, status_class class, const status *st)
{
    in_flight *f = arg;
    (void)st;
    if (class == STATUS_OK)
        record((event){.kind = EVENT_ACK, .at = f->number, .shard = f->shard});
    free(f);
}

static bool append(journal *j, uint32_t shard, uint64_t number, uint32_t n_rows)
{
    static const column_type types[] = {COLUMN_INTEGER, COLUMN_TEXT};
    batch_builder *b = batch_builder_create(types, 2);
    for (uint32_t i = 0; i < n_rows; i++) {
        batch_builder_int64(b, 0, (int64_t)(number * 1000 + i));
        batch_builder_text(b, 1, "some text for the record", i % 24);
        batch_builder_end_row(b);
    }
    batch rows = batch_builder_freeze(b);
    in_flight *f = malloc(sizeof *f);
    *f = (in_flight){shard, number};
    journal_entry e = {.kind = JOURNAL_ROWS,
                       .wid = 1,
                       .store = "s",
                       .shard = (uint16_t)shard,
                       .generation = number,
                       .rows = &rows};
    journal_submission s = {.entries = &e, .n_entries = 1, .on_done = on_done, .arg = f};
    status st;
    status_class class = journal_submit(j, &s, &st);
    if (class != STATUS_OK)
        free(f);
    batch_builder_free(b);
    return class == STATUS_OK;
}

static void start_recording(const char *folder)
{
    char path[4200];
    struct stat s;
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    assert_int_equal(stat(path, &s), 0);
    tape.device = s.st_dev;
    tape.file = s.st_ino;
    uint8_t *whole = malloc((size_t)s.st_size);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, whole, (size_t)s.st_size), s.st_size);
    close(fd);
    record((event){.kind = EVENT_WRITE, .len = (size_t)s.st_size, .data = whole});
    record((event){.kind = EVENT_SYNC});
    tape.on = true;
}

/* Appends to all streams; the first is trimmed all the time and the others now and then, so that pages are
 * used again and again. */
static void record_a_life(const char *folder, uint64_t seed)
{
    journal_settings settings = {.folder = folder, .size_bytes = SIZE_BYTES, .store_bytes = SIZE_BYTES};
    random_seeded r = {seed};
    uint64_t next[STREAMS] = {0};
    journal *j;
    status st;
    assert_int_equal(journal_open(&settings, &j, &st), STATUS_OK);
    start_recording(folder);
    for (unsigned i = 0; i < RECORDS;) {
        uint32_t shard = (uint32_t)(random_seeded_next(&r) % STREAMS);
        journal_stream s;
        if (append(j, shard, next[shard], (uint32_t)(random_seeded_next(&r) % 200))) {
            next[shard]++;
            i++;
        } else {
            usleep(200); /* full until the trims are done */
        }
        bool trim = random_seeded_next(&r) % (shard == 0 ? 8 : 64) == 0;
        if (trim && journal_stream_find(j, 1, "s", JOURNAL_LIVE, (uint16_t)shard, &s)) {
            record((event){.kind = EVENT_TRIM, .at = s.last_seq, .shard = shard});
            journal_trim(j, s.id, s.last_seq);
        }
        if (random_seeded_next(&r) % 4 == 0)
            usleep((useconds_t)(random_seeded_next(&r) % 500));
    }
    journal_close(j);
    tape.on = false;
}

static void forget_tape(void)
{
    for (size_t i = 0; i < tape.n; i++)
        free(tape.events[i].data);
    free(tape.events);
    tape.events = NULL;
    tape.n = tape.cap = 0;
}

/* ---- the disk after a cut ---- */

typedef struct disk_image {
    uint8_t *synced; /* what is surely there */
    size_t len;
    size_t *pending, n_pending; /* events: written, not synced */
    uint64_t acked[STREAMS], trimmed[STREAMS];
} disk_image;

static void image_write(uint8_t *image, const event *e)
{
    assert_true(e->at + e->len <= SIZE_BYTES);
    memcpy(image + e->at, e->data, e->len);
}

static size_t length_after(size_t len, const event *e)
{
    return e->at + e->len > len ? (size_t)(e->at + e->len) : len;
}

/* Everything up to `to`; `honest`: a sync puts what is pending on the disk. */
static void image_play(disk_image *d, size_t from, size_t to, bool honest)
{
    for (size_t i = from; i < to; i++) {
        const event *e = &tape.events[i];
        if (e->kind == EVENT_WRITE || (e->kind == EVENT_SYNCED_WRITE && !honest)) {
            d->pending[d->n_pending++] = i;
        } else if (e->kind == EVENT_SYNCED_WRITE) {
            image_write(d->synced, e);
            d->len = length_after(d->len, e);
        } else if (e->kind == EVENT_ACK) {
            d->acked[e->shard] = e->at + 1;
        } else if (e->kind == EVENT_TRIM) {
            d->trimmed[e->shard] = e->at;
        } else if (honest || i < 2) {
            for (size_t p = 0; p < d->n_pending; p++) {
                image_write(d->synced, &tape.events[d->pending[p]]);
                d->len = length_after(d->len, &tape.events[d->pending[p]]);
            }
            d->n_pending = 0;
        }
    }
}

/* Of each write that was not synced: nothing, all, or some of its sectors. */
static size_t image_cut(const disk_image *d, random_seeded *r, uint8_t *out)
{
    size_t len = d->len;
    memcpy(out, d->synced, SIZE_BYTES);
    for (size_t p = 0; p < d->n_pending; p++) {
        const event *e = &tape.events[d->pending[p]];
        unsigned fate = (unsigned)(random_seeded_next(r) % 3);
        if (fate == 0)
            continue;
        for (size_t at = 0; at < e->len; at += SECTOR)
            if (fate == 1 || random_seeded_next(r) % 2)
                memcpy(out + e->at + at, e->data + at, e->len - at < SECTOR ? e->len - at : SECTOR);
        len = length_after(len, e);
    }
    return len;
}

static void put_image(const char *folder, const uint8_t *image, size_t len)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, len, file), len);
    fclose(file);
}

/* ---- what the journal finds there ---- */

/* How many acked records of the stream are gone; fails on one that is there twice or not whole. */
static uint64_t lost_of(journal *j, uint32_t shard, const disk_image *d)
{
    journal_stream s;
    const journal_record *r;
    size_t n;
    status st;
    if (!journal_stream_find(j, 1, "s", JOURNAL_LIVE, (uint16_t)shard, &s))
        return d->acked[shard];
    if (s.trimmed_seq > d->trimmed[shard]) /* more is gone than anybody has allowed */
        return d->acked[shard];
    arena *a = arena_create(0);
    assert_int_equal(journal_read(j, s.id, s.trimmed_seq, (size_t)1 << 30, a, &r, &n, &st), STATUS_OK);
    uint64_t next = s.trimmed_seq; /* record number k has seq k + 1 */
    for (size_t i = 0; i < n && r[i].kind == JOURNAL_ROWS && r[i].generation == next; i++, next++) {
        assert_int_equal(r[i].seq, next + 1);
        assert_int_equal(r[i].prev_seq, next);
        if (r[i].rows.n_rows)
            assert_int_equal(((const int64_t *)r[i].rows.columns[0].values)[0], (int64_t)next * 1000);
    }
    arena_free(a);
    return next < d->acked[shard] ? d->acked[shard] - next : 0;
}

typedef struct outcome {
    uint64_t acked, lost;
    unsigned unreadable;
} outcome;

static void look(const char *folder, const disk_image *d, outcome *out)
{
    journal_settings settings = {.folder = folder, .size_bytes = SIZE_BYTES, .store_bytes = SIZE_BYTES};
    journal *j;
    status st;
    if (journal_open(&settings, &j, &st) != STATUS_OK) {
        out->unreadable++;
        return;
    }
    for (uint32_t shard = 0; shard < STREAMS; shard++) {
        out->acked += d->acked[shard];
        out->lost += lost_of(j, shard, d);
    }
    out->lost += journal_stats_get(j).damaged_records;
    journal_close(j);
}

static int by_place(const void *left, const void *right)
{
    const size_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* `cuts` power cuts in the recorded life, at places of the seed's choice. */
static outcome cut_power(unsigned cuts, uint64_t seed, bool honest)
{
    outcome found = {0};
    random_seeded r = {seed};
    disk_image d = {.synced = calloc(1, SIZE_BYTES), .pending = calloc(tape.n, sizeof *d.pending)};
    uint8_t *image = malloc(SIZE_BYTES);
    size_t *places = calloc(cuts, sizeof *places), done = 0;
    for (unsigned i = 0; i < cuts; i++)
        places[i] = 2 + (size_t)(random_seeded_next(&r) % (tape.n - 2));
    qsort(places, cuts, sizeof *places, by_place);
    for (unsigned i = 0; i < cuts; i++) {
        char *folder = test_folder();
        image_play(&d, done, places[i], honest);
        done = places[i];
        put_image(folder, image, image_cut(&d, &r, image));
        look(folder, &d, &found);
        test_folder_remove(folder);
    }
    free(d.synced);
    free(d.pending);
    free(image);
    free(places);
    return found;
}

static int record_once(void **state)
{
    char *folder = test_folder();
    *state = NULL;
    record_a_life(folder, test_seed());
    test_folder_remove(folder);
    return 0;
}

static int drop_tape(void **state)
{
    (void)state;
    forget_tape();
    return 0;
}

static void nothing_acked_is_lost(void **state)
{
    (void)state;
    outcome found = cut_power(SEEDS, test_seed() + 1, true);
    fprintf(stderr, "power cuts %d, events %zu, acked records seen %llu, lost %llu, unreadable %u\n", SEEDS,
            tape.n, (unsigned long long)found.acked, (unsigned long long)found.lost, found.unreadable);
    assert_int_equal(found.lost, 0);
    assert_int_equal(found.unreadable, 0);
    assert_true(found.acked > SEEDS);
}

/* A disk that only says that it has synced. */
static void a_lying_disk_is_found_out(void **state)
{
    (void)state;
    outcome found = cut_power(60, test_seed() + 2, false);
    assert_true(found.lost > 0 || found.unreadable > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acked_is_lost),
        cmocka_unit_test(a_lying_disk_is_found_out),
    };
    return cmocka_run_group_tests(tests, record_once, drop_tape);
}
