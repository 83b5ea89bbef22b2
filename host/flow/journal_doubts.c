#include "flow/journal_doubts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "flow/journal_leaves.h"

enum { THREADS = 2 }; /* the disk is for the rows that come in, too */

struct journal_doubts {
    page_file *file;
    page_rest *rest;
    walk how;
    pthread_t thread;
    bool started;
    atomic_int state;
    void (*on_end)(void *arg);
    void *arg;
};

journal_doubts *journal_doubts_create(page_file *f, page_rest *rest)
{
    journal_doubts *d = memory_zero(1, sizeof *d);
    d->file = f;
    d->rest = rest;
    d->how = (walk){.f = f, .of = &f->snapshots[0], .table = "records", .nesting = 1};
    return d;
}

static void *look_at_all(void *arg)
{
    journal_doubts *d = arg;
    status st;
    tree counted = d->rest->counted;
    status_class class = leaf_list_check(d->rest->leaves, &d->how, THREADS, &counted, &st);
    bool all = counted.leaves - d->rest->counted.leaves == leaf_list_count(d->rest->leaves);
    if (class == STATUS_OK && !all)
        return NULL; /* it was told to stop */
    if (class == STATUS_OK && !walk_is_whole(&counted, &d->rest->expected))
        class = status_set(&st, STATUS_INVALID, "%s", WALK_NOT_WHOLE);
    if (class != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "journal", "damaged", &st);
    int state = DOUBTS_OPEN;
    atomic_compare_exchange_strong(&d->state, &state, class == STATUS_OK ? DOUBTS_SOUND : DOUBTS_DAMAGED);
    d->on_end(d->arg);
    return NULL;
}

bool journal_doubts_start(journal_doubts *d, void (*on_end)(void *arg), void *arg)
{
    d->on_end = on_end;
    d->arg = arg;
    d->started = pthread_create(&d->thread, NULL, look_at_all, d) == 0;
    return d->started;
}

void journal_doubts_free(journal_doubts *d)
{
    if (!d)
        return;
    leaf_list_stop(d->rest->leaves);
    if (d->started)
        pthread_join(d->thread, NULL);
    page_rest_free(d->rest);
    page_file_close(d->file);
    free(d);
}

doubts_state journal_doubts_state(const journal_doubts *d)
{
    return (doubts_state)atomic_load(&d->state);
}

bool journal_doubts_sound(journal_doubts *d, page_bytes from, page_bytes to)
{
    if (journal_doubts_state(d) == DOUBTS_SOUND)
        return true;
    bool sound = leaf_list_sound_about(d->rest->leaves, &d->how, from, to);
    if (!sound)
        atomic_store(&d->state, DOUBTS_DAMAGED);
    return sound;
}
