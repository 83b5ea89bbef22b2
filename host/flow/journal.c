/* A journal's life. The rest is one noun a file: journal_streams.c (the registry), journal_submit.c,
 * journal_group.c (one transaction), journal_commit.c (the thread), journal_trim.c, journal_keys.c,
 * journal_read.c, journal_load.c (what is on disk at the start), and below them journal_record.c,
 * journal_lmdb.c, journal_pages.c, journal_mend.c. */
#include "flow/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/fault.h"
#include "base/log.h"
#include "flow/journal_mend.h"
#include "flow/journal_state.h"

#define SIZE_MIN ((uint64_t)1 << 20)
#define SIZE_DEFAULT ((uint64_t)8 << 30)
#define LEAVES_AT_ONCE 8192U

static status_class own_folder(journal *j, status *st)
{
    text path = {0};
    if (disk_make_folder(j->folder, 0700, st) != STATUS_OK)
        return status_wrap(st, "journal");
    text_printf(&path, "%s/owner.lock", j->folder);
    j->lock_fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (j->lock_fd < 0)
        status_errno(st, errno, "journal: cannot open owner.lock");
    else if (flock(j->lock_fd, LOCK_EX | LOCK_NB) != 0 && !fault_active("owner"))
        status_set(st, STATUS_CONFLICT, "journal: %s is open in another process", j->folder);
    else
        st->class = STATUS_OK;
    text_free(&path);
    return st->class;
}

static uint64_t choose_size(const journal_settings *s)
{
    uint64_t size = s->size_bytes;
    int64_t free_bytes = disk_free_bytes(s->folder, NULL);
    if (size == 0) {
        size = SIZE_DEFAULT;
        if (free_bytes >= 0 && (uint64_t)free_bytes / 10 < size)
            size = (uint64_t)free_bytes / 10;
    }
    size = size < SIZE_MIN ? SIZE_MIN : size;
    return size - size % JOURNAL_PAGE;
}

static void take_settings(journal *j, const journal_settings *s)
{
    j->size_bytes = choose_size(s);
    j->store_bytes = s->store_bytes ? s->store_bytes : j->size_bytes / 4;
    j->window_us = s->window_us ? s->window_us : 2000;
    if (j->window_us > JOURNAL_WINDOW_MAX_US)
        j->window_us = JOURNAL_WINDOW_MAX_US;
    j->keep_free = s->keep_free;
    j->leaves_at_once = s->leaves_at_once ? s->leaves_at_once : LEAVES_AT_ONCE;
    j->on_appended = s->on_appended;
    j->arg = s->arg;
}

static void destroy(journal *j)
{
    journal_doubts_free(j->doubts);
    store_close(&j->store);
    if (j->lock_fd >= 0)
        close(j->lock_fd);
    streams_free(j);
    turn_queue_free(&j->waiting);
    free(j->trims);
    free(j->touched);
    pthread_cond_destroy(&j->wake);
    pthread_cond_destroy(&j->told);
    pthread_mutex_destroy(&j->lock);
    pthread_rwlock_destroy(&j->env_lock);
    pthread_rwlock_destroy(&j->ahead_lock);
    free(j->folder);
    free(j);
}

static void take_losses(journal *j, const journal_losses *losses)
{
    for (size_t i = 0; i < losses->n; i++) {
        const journal_loss *l = &losses->items[i];
        stream_usage_locked(j, l->wid, l->store)->lost += l->records;
        j->stats.damaged_records += l->records;
    }
}

/* The file as LMDB may have it: sound, mended, or with the doubts that are left. */
static status_class open_file(journal *j, bool deep, size_t at_once, journal_losses *losses, status *st)
{
    status_class class = journal_mend(j->folder, j->size_bytes, deep, at_once, losses, &j->doubts, st);
    if (class == STATUS_OK)
        class = store_open(&j->store, j->folder, j->size_bytes, st);
    if (class != STATUS_OK || !j->doubts)
        return class;
    if (!store_hold_pages(&j->store, j->folder)) {
        journal_forget_doubts(j);
        store_close(&j->store);
        return open_file(j, deep, SIZE_MAX, losses, st);
    }
    store_doubt(&j->store, j->doubts);
    atomic_store(&j->unseen, true);
    return STATUS_OK;
}

static status_class load_once(journal *j, bool deep, size_t at_once, status *st)
{
    journal_losses losses;
    status_class class = open_file(j, deep, at_once, &losses, st);
    if (class == STATUS_OK) {
        pthread_mutex_lock(&j->lock);
        class = state_load(j, st);
        take_losses(j, &losses);
        pthread_mutex_unlock(&j->lock);
    }
    free(losses.items);
    return class;
}

static bool is_hurt(const journal *j)
{
    return j->doubts && journal_doubts_state(j->doubts) == DOUBTS_DAMAGED;
}

void journal_forget_doubts(journal *j)
{
    if (j->store.env) {
        store_doubt(&j->store, NULL);
        store_release_pages(&j->store);
    }
    journal_doubts_free(j->doubts);
    j->doubts = NULL;
    atomic_store(&j->unseen, false);
}

status_class journal_load(journal *j, bool deep, status *st)
{
    status_class class = load_once(j, deep, deep ? SIZE_MAX : j->leaves_at_once, st);
    if (is_hurt(j)) {
        journal_forget_doubts(j);
        store_close(&j->store);
        class = load_once(j, deep, SIZE_MAX, st);
    }
    if (class == STATUS_OK) {
        store_find_map(&j->store);
        return class;
    }
    journal_forget_doubts(j);
    store_close(&j->store);
    return class;
}

void journal_wake(journal *j)
{
    pthread_mutex_lock(&j->lock);
    pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->lock);
}

static void on_doubts_end(void *arg)
{
    journal_wake(arg);
}

static journal *make(const journal_settings *settings)
{
    journal *j = memory_zero(1, sizeof *j);
    pthread_condattr_t monotonic;
    j->lock_fd = -1;
    j->folder = memory_string(settings->folder);
    j->usages = memory_zero(JOURNAL_USAGE_BUCKETS, sizeof(journal_usage *));
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&j->told, NULL);
    pthread_mutex_init(&j->lock, NULL);
    pthread_rwlock_init(&j->env_lock, NULL);
    pthread_rwlock_init(&j->ahead_lock, NULL);
    return j;
}

status_class journal_open(const journal_settings *settings, journal **out, status *st)
{
    journal *j = make(settings);
    status_class class = own_folder(j, st);
    if (class == STATUS_OK) {
        take_settings(j, settings);
        class = journal_load(j, false, st);
    }
    if (class == STATUS_OK && j->doubts && !journal_doubts_start(j->doubts, on_doubts_end, j))
        class = status_set(st, STATUS_INTERNAL, "journal: cannot start a thread");
    for (uint32_t i = 1; class == STATUS_OK && i <= j->n_streams; i++)
        j->streams[i]->at.opened_seq = j->streams[i]->at.last_seq;
    if (class != STATUS_OK) {
        destroy(j);
        return class;
    }
    if (pthread_create(&j->thread, NULL, commit_thread, j) != 0) {
        destroy(j);
        return status_set(st, STATUS_INTERNAL, "journal: cannot start its thread");
    }
    log_info("journal", j->is_new ? "made" : "opened", LOG_TEXT("folder", j->folder),
             LOG_NUMBER("size_bytes", j->size_bytes), LOG_NUMBER("streams", j->n_streams));
    *out = j;
    return STATUS_OK;
}

void journal_close(journal *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->closing = true;
    pthread_cond_broadcast(&j->wake);
    pthread_mutex_unlock(&j->lock);
    pthread_join(j->thread, NULL);
    assert(j->waiting.n == 0);
    destroy(j);
}

const uint8_t *journal_incarnation(const journal *j)
{
    return j->incarnation;
}

bool journal_is_new(const journal *j)
{
    return j->is_new;
}

journal_stats journal_stats_get(journal *j)
{
    pthread_mutex_lock(&j->lock);
    journal_stats stats = j->stats;
    stats.size_bytes = j->size_bytes;
    stats.store_bytes = j->store_bytes;
    stats.used_bytes = j->used_pages * JOURNAL_PAGE;
    stats.waiting_submissions = j->waiting.n;
    stats.streams = j->n_streams;
    stats.failed = j->failed;
    stats.unseen = atomic_load(&j->unseen);
    j->stats.commit_us_longest = 0;
    pthread_mutex_unlock(&j->lock);
    return stats;
}

#ifdef PENSTOCK_FAULTS
void journal_fault_set(journal *j, journal_fault fault, unsigned times)
{
    pthread_mutex_lock(&j->lock);
    j->fault = fault;
    j->fault_times = times;
    pthread_mutex_unlock(&j->lock);
}
#endif
