/* The catalog: which plugins there are. It watches the plugin folders, copies each new file under its content
 * hash into the generation store (<state>/plugins/<hash>.so, never changed again) and has a probe cell
 * describe it. The host itself never loads a plugin. A file that cannot be used is listed with its reason.
 *
 * Each plugin id has a line of generations: the version that serves, the one before it, and one that was
 * refused. The first version of an id serves at once; a later one is only offered, and begins to serve when
 * plugin/reload.h has tried it. When several files carry one plugin id, the one that changed last counts. A
 * file that goes away changes nothing: its copy serves on. Lines outlive the host (generations.json).
 *
 * Entries are immutable and counted: catalog_find gives one that stays valid until plugin_entry_release, also
 * after its file was replaced. All functions may be called from any thread; those that probe or write block
 * for some milliseconds. */
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
 * NULL) runs on that thread after the first scan and after each that changed something. */
status_class catalog_watch(catalog *c, void (*on_change)(void *arg), void *arg, status *st);

/* Ends the watching and waits for the scan in hand. */
void catalog_unwatch(catalog *c);

/* The entry that serves under that id; NULL with a reason (and a "did you mean") in `st`. */
const plugin_entry *catalog_find(catalog *c, const char *id, status *st);
/* The same for one instance: an older one if it refused the current one. */
const plugin_entry *catalog_find_for(catalog *c, const char *id, const char *workspace, const char *instance,
                                     status *st);
void plugin_entry_release(const plugin_entry *entry); /* NULL is fine */
const plugin_entry *plugin_entry_hold(const plugin_entry *entry);
bool plugin_entry_offers(const plugin_entry *entry, const char *interface_id);
/* Calls `on_entry` for every entry, broken ones too, ordered by file. */
void catalog_list(catalog *c, void (*on_entry)(const plugin_entry *entry, void *arg), void *arg);

/* ---- Generations: what plugin/reload.h and listings need ---- */

typedef struct plugin_version {
    const char *hash, *version; /* NULL = there is none */
    int64_t since_us;           /* wall time */
} plugin_version;

typedef struct plugin_holdback { /* an instance that refused the current version */
    const char *workspace, *instance, *hash, *why;
} plugin_holdback;

typedef struct plugin_line {
    const char *id;
    const plugin_entry *entry; /* what serves; NULL = its copy is lost */
    plugin_version current, previous, refused;
    const char *refused_why;
    bool pinned;    /* rolled back: stays so until another file arrives, or `load` */
    bool unloaded;  /* by an operator: its instances answer nothing */
    bool file_gone; /* no file of the plugin folders has the content that serves */
    const plugin_holdback *holdbacks;
    size_t n_holdbacks;
} plugin_line;

/* Calls `on_line` for each plugin id, or for one; pointers are valid during the callback, which must not call
 * into this module. False: there is no such id. */
bool catalog_lines(catalog *c, const char *id, void (*on_line)(const plugin_line *line, void *arg),
                   void *arg);
bool catalog_unloaded(catalog *c, const char *id);

/* A new version that waits to be tried, held; NULL = none. */
const plugin_entry *catalog_take_offer(catalog *c);
/* It serves from now on, what did before is the previous one. A failure says that this could not be written
 * down: a restart would come up as before. */
status_class catalog_advance(catalog *c, const plugin_entry *entry, bool pinned, status *st);
status_class catalog_refuse(catalog *c, const plugin_entry *entry, const char *why, status *st);
status_class catalog_unload(catalog *c, const char *id, bool unloaded, status *st);
/* The instance stays on the version with that hash; NULL = it runs the current one. Written down with the
 * next of the three above. */
void catalog_hold_back(catalog *c, const char *id, const char *workspace, const char *instance,
                       const char *hash, const char *why);
/* The version before the current one, verified and probed anew; held. */
const plugin_entry *catalog_previous(catalog *c, const char *id, status *st);
/* The newest usable file with that id; the version that serves if there is none; held. */
const plugin_entry *catalog_newest(catalog *c, const char *id, status *st);
/* The copy that its cells will load is still what its hash says; one that is damaged is made anew from the
 * file, if that has the content still. */
status_class catalog_verify(const catalog *c, const plugin_entry *entry, status *st);
/* A version that comes as bytes: copied and probed; `name` stands for its file. Held. */
const plugin_entry *catalog_take_bytes(catalog *c, const char *name, const void *data, size_t len,
                                       status *st);
/* Deletes copies that nothing refers to any more. */
void catalog_prune(catalog *c);

/* A file that cannot be used arrived where a plugin's file was. */
typedef struct catalog_news {
    char *id, *file, *why;
} catalog_news;
/* Takes the oldest; to be freed with catalog_news_free. */
bool catalog_take_news(catalog *c, catalog_news *out);
void catalog_news_free(catalog_news *news);

/* What control needs to know about plugins, as functions, so that it need not know this folder. */
bool plugin_entry_is_sink(const plugin_entry *e); /* it takes rows */
const char *plugin_kind_name(plugin_kind kind);   /* "connector", "notifier", "metric", "model" */
/* Checks `config` against the plugin's schema and returns a copy with the defaults filled in (to be
 * json_decref'ed). INVALID with a JSON Pointer in st->where. Secret properties hold references, which are
 * text. */
status_class plugin_config_complete(const plugin_entry *entry, const json_t *config, json_t **config_out,
                                    status *st);

/* penstock-cell beside the running program, in the build tree, or in libexec. To be freed; NULL with `st`. */
char *cell_program_find(status *st);
#endif
