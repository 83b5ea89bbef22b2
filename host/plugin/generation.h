/* What this host remembers of its plugins across restarts: which version of each serves, which one did
 * before, what an operator said about it, and which content each file had when it was last looked at. Plain
 * data with one JSON document, <state>/plugins/generations.json, that is replaced as a whole. Private to
 * host/plugin.
 *
 * Not thread-safe: the catalog's lock guards it; writing the document is the catalog's work outside that
 * lock. */
#ifndef PENSTOCK_PLUGIN_GENERATION_H
#define PENSTOCK_PLUGIN_GENERATION_H
#include <jansson.h>

#include "plugin/catalog.h"

#define GENERATION_FILE "generations.json"
#define GENERATION_DOCUMENT_MAX_BYTES (4L << 20)

typedef struct generation {
    char hash[65]; /* "" = there is none */
    char version[64];
    int64_t since_us; /* wall time */
} generation;

/* An instance that stays on another version, because it refused the current one. */
typedef struct generation_holdback {
    char *workspace, *instance, *why;
    char hash[65];
} generation_holdback;

typedef struct generation_line { /* of one plugin id */
    char *id;
    generation current, previous, refused;
    char *refused_why; /* NULL = none was refused since */
    bool pinned;       /* rolled back: the refused or newer file is not taken again by itself */
    bool unloaded;
    generation_holdback *holdbacks;
    size_t n_holdbacks;
    /* not in the document: held entries of the catalog's */
    const plugin_entry *entry;   /* of `current`; NULL = its copy is lost */
    const plugin_entry *offered; /* a new version that waits to be tried */
} generation_line;

typedef struct generation_file {
    char *path, *id; /* id "" = its content was never a plugin */
    char hash[65];
} generation_file;

typedef struct generations {
    generation_line *lines;
    generation_file *files;
    size_t n_lines, n_files;
} generations;

/* Missing is empty. INVALID: it cannot be read; `g` is empty then. */
status_class generations_read(const char *path, generations *g, status *st);
json_t *generations_document(const generations *g);
void generations_free(generations *g);

generation_line *generations_find(generations *g, const char *id); /* NULL = unknown */
generation_line *generations_add(generations *g, const char *id);
/* The other version becomes the current one; what was current is kept as the previous one. */
void generation_advance(generation_line *line, const char *hash, const char *version, int64_t now_us);
void generation_refuse(generation_line *line, const char *hash, const char *version, const char *why,
                       int64_t now_us);
void generation_hold_back(generation_line *line, const char *workspace, const char *instance,
                          const char *hash, const char *why);
void generation_let_go(generation_line *line, const char *workspace, const char *instance);
const generation_holdback *generation_held_back(const generation_line *line, const char *workspace,
                                                const char *instance);
/* The copy with that hash must be kept. */
bool generations_use(const generations *g, const char *hash);

const generation_file *generations_file(const generations *g, const char *path);
/* id NULL = keep what is known. */
void generations_note_file(generations *g, const char *path, const char *hash, const char *id);
#endif
