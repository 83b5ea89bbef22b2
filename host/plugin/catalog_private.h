/* What the files of the catalog share: records of files (catalog.c) and lines of plugin ids (catalog_line.c).
 */
#ifndef PENSTOCK_PLUGIN_CATALOG_PRIVATE_H
#define PENSTOCK_PLUGIN_CATALOG_PRIVATE_H
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "plugin/catalog.h"
#include "plugin/generation.h"
#include "plugin/plugin_copy.h"
#include "plugin/watch.h"

typedef struct record {
    char *file;
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    bool seen;    /* in this scan */
    bool arrived; /* its content is not what the generations know of this file */
    const plugin_entry *entry;
} record;

struct catalog {
    char *folders[PLUGIN_FOLDERS_MAX];
    size_t n_folders;
    char *store, *program, *user;
    nursery *spawner;
    pthread_mutex_t scanning; /* one scan at a time */
    pthread_mutex_t saving;   /* one writer of the document; taken before `lock` */
    pthread_mutex_t lock;     /* of all below; never held while something blocks */
    record *records;          /* ordered by file */
    size_t n, cap;
    generations generations;
    bool unsaved, restored; /* restored: under `scanning` */
    catalog_news *news;
    size_t n_news;
    watch *watch;
    bool looked; /* of the watching thread */
    void (*on_change)(void *arg);
    void *on_change_arg;
};

/* What tells one content of a file from another: its hash, or why it could not be read. */
void catalog_mark(const plugin_entry *entry, char out[COPY_HASH_TEXT]);
/* Verifies the copy with that hash and asks it what it is. Blocks; without the lock. */
status_class catalog_probe_copy(const catalog *c, const char *hash, const char *file,
                                const plugin_entry **entry_out, status *st);
/* After a scan: what arrived begins to serve, is offered, or is refused. */
void catalog_settle(catalog *c);
/* At the start, after the first scan: the entries of what served when the host ended. */
void catalog_restore(catalog *c);
#endif
