/* The host's configuration: flags > PENSTOCK_* environment > YAML file and conf.d > defaults, from one table
 * of keys (settings_table) that is also the documentation. Unknown keys are refused with a suggestion; every
 * value knows where it came from. Immutable once loaded: a reload loads anew, compares, and swaps. Any thread
 * may read.
 *
 * Names have dots (`log.level`): in YAML they are nested mappings, as a flag `--log.level` or `--log-level`,
 * in the environment PENSTOCK_LOG_LEVEL. Lists are YAML sequences, elsewhere separated by commas. Units:
 * bytes take KiB, MiB, GiB; durations are texts such as 10m. Secrets never stand here, only paths of files
 * that hold them. */
#ifndef PENSTOCK_CONFIG_SETTINGS_H
#define PENSTOCK_CONFIG_SETTINGS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct grant_list grant_list;

typedef enum setting_kind {
    SETTING_TEXT,
    SETTING_INTEGER,
    SETTING_BYTES,    /* int64 */
    SETTING_DURATION, /* int64 microseconds */
    SETTING_BOOLEAN,
    SETTING_LIST,
    SETTING_FOLDERS,  /* grants: grant.h */
    SETTING_NETWORKS, /* grants */
    SETTING_PROGRAMS, /* grants */
} setting_kind;

/* In the order in which the table is read. */
typedef struct setting_key {
    const char *name;
    setting_kind kind;
    const char *value; /* the default, as text; NULL = unset */
    const char *doc;
    bool reloadable;     /* SIGHUP takes a new value over; else it needs a restart */
    int64_t least, most; /* bounds of numbers; both 0 = none */
    const char *choices; /* "logfmt json": words that may stand; NULL = any. For lists: each item */
} setting_key;

extern const setting_key settings_table[];
extern const size_t settings_table_n;

typedef struct settings settings;

typedef struct settings_source {
    int argc; /* flags only: argv[0] is the first flag */
    const char *const *argv;
    const char *const *environment; /* NULL = none */
    const char *file; /* used when neither --config nor PENSTOCK_CONFIG names one; may be missing */
} settings_source;

/* STATUS_INVALID with where = flag, variable or file:line:column. */
status_class settings_load(const settings_source *source, settings **ret_settings, status *st);
void settings_free(settings *s); /* NULL is fine */

/* Asking for a name that is not in the table, or for another kind, is our bug and ends the process. */
const char *settings_text(const settings *s, const char *name); /* NULL = unset */
int64_t settings_integer(const settings *s, const char *name);  /* integers, bytes, durations; 0 = unset */
size_t settings_list(const settings *s, const char *name, const char *const **ret_items);
const grant_list *settings_grants(const settings *s, const char *name); /* NULL = unset */
/* "default", "PENSTOCK_LISTEN", "--listen", "file:3:9". */
const char *settings_origin(const settings *s, const char *name);

/* Every key with its default and what it means. */
void settings_help(text *out);
/* One line a key: name = value, where it came from. */
void settings_describe(const settings *s, text *out);
/* Calls on_change for every key whose value differs; `reloadable` tells whether the new one may be used now.
 */
void settings_compare(const settings *before, const settings *after,
                      void (*on_change)(void *arg, const setting_key *key), void *arg);
#endif
