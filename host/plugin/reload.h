/* New versions of plugins, taken into use while everything runs. A version is tried with one instance after
 * the other (instance_swap.h) and begins to serve when at least one of them, or all of none, took it:
 *
 *   - an instance that refuses it (its config does not fit, its cell dies, its source does not open …) stays
 *     on the version it has, is listed with the reason, and is tried again with the next file or `load`;
 *   - if the first three that are tried all refuse, or all do, the version is refused as a whole and the one
 *     that serves stays what it is, for those that come later and after a restart too.
 *
 * Threads: any but the loop's; one change at a time, the next one waits. The catalog and the instances must
 * outlive it. */
#ifndef PENSTOCK_PLUGIN_RELOAD_H
#define PENSTOCK_PLUGIN_RELOAD_H
#include "plugin/catalog.h"
#include "plugin/instance.h"

#define RELOAD_REFUSALS 3 /* in a row from the start, before a version is given up as a whole */

typedef struct reload reload;

typedef struct reload_result {
    char id[128], version[64], hash[65];
    bool serves; /* it is the current version now */
    unsigned switched, refused;
    int64_t pause_sum_us, pause_longest_us; /* of the switches */
    char why[512];                          /* the first refusal; "" = none */
} reload_result;

typedef struct reload_settings {
    catalog *catalog;
    instance_set *instances;
    /* Makes the instances of that plugin that are wanted and not there yet, so that they are asked too. May
     * be NULL. */
    void (*make_instances)(void *arg, const char *plugin_id);
    /* One event a change, for the audit: `deed` is "load", "unload", "rollback" or "refuse". May be NULL. */
    void (*on_event)(void *arg, const char *deed, const char *actor, const reload_result *result);
    void *arg;
} reload_settings;

reload *reload_create(const reload_settings *settings);
/* No further instance is tried, and those that wait give up; returns at once. NULL is fine. */
void reload_end(reload *r);
void reload_free(reload *r); /* when nobody is in it any more. NULL is fine */

/* Looks at the plugin folders and tries what is new there. */
void reload_look(reload *r);
/* The newest file with that id, after an unload or a rollback too. CONFLICT: every instance refused it. */
status_class reload_load(reload *r, const char *id, const char *actor, reload_result *result_out, status *st);
/* A version that comes as bytes; `name` stands for its file. INVALID: it is no plugin. */
status_class reload_load_bytes(reload *r, const char *name, const void *data, size_t len, const char *actor,
                               reload_result *result_out, status *st);
/* The version that served before; it stays until another file arrives, or `load`. */
status_class reload_roll_back(reload *r, const char *id, const char *actor, reload_result *result_out,
                              status *st);
/* Its instances stop and answer nothing until `load`; their data, cursors and artifacts stay. */
status_class reload_unload(reload *r, const char *id, const char *actor, reload_result *result_out,
                           status *st);
#endif
