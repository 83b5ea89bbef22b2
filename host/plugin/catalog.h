/* The catalog: which plugins there are. It watches the plugin folders, copies each new file under its content
 * hash into the generation store (<state>/plugins/<hash>.so, never changed again) and has a probe cell
 * describe it. The host itself never loads a plugin. A file that cannot be used is listed with its reason.
 *
 * Entries are immutable and counted: catalog_find gives one that stays valid until plugin_entry_release, also
 * after its file was replaced. When two files carry one plugin id, the newer one is used. All functions may
 * be called from any thread; catalog_scan and catalog_create block (probing takes some milliseconds a new
 * file). */
#ifndef PENSTOCK_PLUGIN_CATALOG_H
#define PENSTOCK_PLUGIN_CATALOG_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "loop/loop.h"
#include "loop/nursery.h"

#define PLUGIN_FILE_MAX_BYTES (64L * 1024 * 1024)
#define PLUGIN_FOLDERS_MAX 16

typedef struct catalog catalog;

typedef enum plugin_kind { PLUGIN_CONNECTOR = 1, PLUGIN_NOTIFIER, PLUGIN_METRIC, PLUGIN_MODEL } plugin_kind;

typedef struct plugin_metric {
    const char *name, *unit, *help;
    int kind; /* PST_COUNTER … */
} plugin_metric;

typedef struct plugin_entry {
    const char *id, *version, *title, *licence;
    plugin_kind kind;
    const char *hash;              /* BLAKE2b-256 of the file, hex */
    const char *file;              /* where it was found */
    const char *path;              /* its copy in the generation store; what cells load */
    const char *const *interfaces; /* ids the host knows, without those it does not */
    size_t n_interfaces;
    const plugin_metric *metrics;
    size_t n_metrics;
    const json_t *config_schema;
    const char *broken; /* why it cannot be used; then only file (and maybe hash) are set. NULL = fine */
} plugin_entry;

typedef struct catalog_settings {
    const char *const *folders; /* absolute; watched with their direct sub-folders; made to exist or not */
    size_t n_folders;
    const char *state_folder; /* copies go to <state_folder>/plugins */
    const char *cell_program; /* absolute path of penstock-cell; see cell_program_find */
    const char *cell_user;    /* system user for cells when the host is root; NULL = stay */
    nursery *spawner;
} catalog_settings;

/* Scans once. Broken files are no error of the catalog. */
status_class catalog_create(const catalog_settings *settings, catalog **catalog_out, status *st);
/* Stops watching; entries that are still held stay valid until released. NULL is fine. */
void catalog_free(catalog *c);
/* Looks at the folders again; returns how many entries are new or changed. */
unsigned catalog_scan(catalog *c);
/* Watches the folders on a thread of its own and scans when something settled there; `on_change` (may be
 * NULL) runs on that thread after each scan that changed something. */
status_class catalog_watch(catalog *c, void (*on_change)(void *arg), void *arg, status *st);

/* The usable entry of that id; NULL with a reason (and a "did you mean") in `st`. */
const plugin_entry *catalog_find(catalog *c, const char *id, status *st);
void plugin_entry_release(const plugin_entry *entry); /* NULL is fine */
const plugin_entry *plugin_entry_hold(const plugin_entry *entry);
bool plugin_entry_offers(const plugin_entry *entry, const char *interface_id);
/* Calls `on_entry` for every entry, broken ones too, ordered by file. */
void catalog_list(catalog *c, void (*on_entry)(const plugin_entry *entry, void *arg), void *arg);

/* What control needs to know about plugins, as functions, so that it need not know this folder. */
const char *plugin_kind_name(plugin_kind kind); /* "connector", "notifier", "metric", "model" */
/* Checks `config` against the plugin's schema and returns a copy with the defaults filled in (to be
 * json_decref'ed). INVALID with a JSON Pointer in st->where. Secret properties hold references, which are
 * text. */
status_class plugin_config_complete(const plugin_entry *entry, const json_t *config, json_t **config_out,
                                    status *st);

/* penstock-cell beside the running program, in the build tree, or in libexec. To be freed; NULL with `st`. */
char *cell_program_find(status *st);
#endif
