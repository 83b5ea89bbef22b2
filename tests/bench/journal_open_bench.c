/* How long a journal takes to open with much waiting, and what stays resident: fills one with records of
 * PENSTOCK_RECORD_ROWS rows (1,000) until PENSTOCK_GIB (20) wait, closes it, and opens it once with its pages
 * in the page cache and once after the kernel was told to drop them, each time in a fresh process.
 *
 * Resident is what the opening added: RssAnon, which nobody can take back, and RssFile, the pages of the file
 * that LMDB has touched through its mapping; those are the page cache's and counted because they are the
 * journal's doing. The journal's folder is made below TMPDIR and removed again; it needs the room. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/batch_builder.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "flow/journal.h"

enum { A_SUBMISSION = 256, STREAMS = 16 };
#define GIB ((uint64_t)1 << 30)
static const double seconds_goal = 2, mib_goal = 64;

static char folder[4096];

static void clean_up(void)
{
    status st;
    disk_remove_tree(folder, &st);
}

static void on_signal(int number)
{
    exit(128 + number); /* a measurement, not a daemon: what clean_up does is fine here */
}

static void must(status_class class, const status *st)
{
    if (class == STATUS_OK)
        return;
    fprintf(stderr, "%s\n", st->text);
    exit(1);
}

static journal *open_journal(uint64_t bytes)
{
    char path[4200];
    status st;
    journal *j;
    snprintf(path, sizeof path, "%s/journal", folder);
    journal_settings settings = {.folder = path, .size_bytes = bytes + bytes / 4, .store_bytes = bytes * 2};
    must(journal_open(&settings, &j, &st), &st);
    return j;
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

/* Many records a submission and a stream in turn, so that filling is a matter of the disk. */
static void fill(uint64_t bytes, uint32_t n_rows)
{
    status st;
    journal *j = open_journal(bytes);
    batch_builder *builder = make_rows(n_rows);
    batch rows = batch_builder_freeze(builder);
    journal_entry entries[A_SUBMISSION];
    int64_t from_us = clock_monotonic_us();
    for (unsigned stream = 0; journal_backlog_get(j, 0, NULL).bytes < bytes; stream++) {
        for (unsigned i = 0; i < A_SUBMISSION; i++)
            entries[i] = (journal_entry){.kind = JOURNAL_ROWS,
                                         .wid = 1 + stream % STREAMS,
                                         .store = "sensor_data",
                                         .rows = &rows,
                                         .received_us = 1};
        journal_submission s = {.entries = entries, .n_entries = A_SUBMISSION};
        must(journal_submit_wait(j, &s, &st), &st);
    }
    journal_backlog waiting = journal_backlog_get(j, 0, NULL);
    printf("%.1f GiB waiting, %llu records of %u rows, written in %.0f s\n",
           (double)waiting.bytes / (double)GIB, (unsigned long long)(waiting.rows / n_rows), n_rows,
           (double)(clock_monotonic_us() - from_us) / 1e6);
    fflush(stdout);
    journal_close(j);
    batch_builder_free(builder);
}

static double resident_mib(const char *what)
{
    char line[256];
    double mib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, what, strlen(what)) == 0)
            mib = strtod(line + strlen(what) + 1, NULL) / 1024;
    if (file)
        fclose(file);
    return mib;
}

static void drop_cached(void)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/journal/data.mdb", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
        perror(path);
    close(fd);
}

static void open_once(const char *how, uint64_t bytes)
{
    double anon = resident_mib("RssAnon"), file = resident_mib("RssFile");
    int64_t from_us = clock_monotonic_us();
    journal *j = open_journal(bytes);
    double seconds = (double)(clock_monotonic_us() - from_us) / 1e6;
    anon = resident_mib("RssAnon") - anon;
    file = resident_mib("RssFile") - file;
    bool met = seconds < seconds_goal && anon + file < mib_goal;
    printf("open, %s: %.2f s (goal < %.0f), %.1f MiB resident (goal < %.0f): %.1f anonymous, %.1f of the "
           "file%s\n",
           how, seconds, seconds_goal, anon + file, mib_goal, anon, file, met ? "" : "  MISSED");
    fflush(stdout);
    journal_close(j);
}

/* In a process of its own: what the one before left behind is not counted. */
static void open_apart(const char *how, bool cached, uint64_t bytes)
{
    if (!cached)
        drop_cached();
    pid_t pid = fork();
    if (pid == 0) {
        open_once(how, bytes);
        _exit(0); /* the folder stays for the next */
    }
    int code;
    if (pid < 0 || waitpid(pid, &code, 0) != pid || code != 0)
        exit(1);
}

static double setting(const char *name, double otherwise)
{
    const char *given = getenv(name);
    return given ? strtod(given, NULL) : otherwise;
}

int main(void)
{
    uint64_t bytes = (uint64_t)(setting("PENSTOCK_GIB", 20) * (double)GIB);
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/penstock-open-XXXXXX", tmp ? tmp : "/var/tmp");
    if (!mkdtemp(folder))
        return 1;
    atexit(clean_up);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    log_setup(2, LOG_FORMAT_LOGFMT, LOG_LEVEL_ERROR);
    fill(bytes, (uint32_t)setting("PENSTOCK_RECORD_ROWS", 1000));
    open_apart("pages cached", true, bytes);
    open_apart("pages on disk", false, bytes);
    return 0;
}
