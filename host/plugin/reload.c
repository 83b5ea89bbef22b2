/* A change holds `turn` from its beginning to its end; the two sweeps over the instances inside of it take
 * each of them once. The second sweep is for those that were made from the catalog's old answer while the
 * first was under way. */
#include "plugin/reload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "plugin/instance_swap.h"

struct reload {
    reload_settings settings;
    pthread_mutex_t turn;
    atomic_bool ending;
};

typedef struct refusal {
    char *workspace, *instance, *why;
    char hash[65];
} refusal;

typedef struct trial { /* of one version */
    reload *r;
    const plugin_entry *entry;
    const char *why;
    reload_result *result;
    refusal *refusals;
    size_t n_refusals;
} trial;

reload *reload_create(const reload_settings *settings)
{
    reload *r = memory_zero(1, sizeof *r);
    r->settings = *settings;
    pthread_mutex_init(&r->turn, NULL);
    return r;
}

void reload_end(reload *r)
{
    if (!r)
        return;
    atomic_store(&r->ending, true);
    instance_set_end_swaps(r->settings.instances);
}

void reload_free(reload *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->turn);
    free(r);
}

/* ---- One instance ---- */

static void note_refusal(trial *t, instance *in, const char *hash, const char *why)
{
    t->result->refused++;
    if (!*t->result->why)
        snprintf(t->result->why, sizeof t->result->why, "%s: %s", instance_workspace(in), why);
    t->refusals = memory_grow(t->refusals, (t->n_refusals + 1) * sizeof *t->refusals);
    refusal *one = &t->refusals[t->n_refusals++];
    *one = (refusal){memory_string(instance_workspace(in)), memory_string(instance_name(in)),
                     memory_string(why), ""};
    snprintf(one->hash, sizeof one->hash, "%s", hash);
}

static bool refused_before(const trial *t, const instance *in)
{
    for (size_t i = 0; i < t->n_refusals; i++)
        if (!strcmp(t->refusals[i].workspace, instance_workspace(in)) &&
            !strcmp(t->refusals[i].instance, instance_name(in)))
            return true;
    return false;
}

static void let_go(trial *t, const instance *in)
{
    catalog_hold_back(t->r->settings.catalog, t->entry->id, instance_workspace(in), instance_name(in), NULL,
                      NULL);
}

static void note_switch(trial *t, const instance *in, const swap_report *report)
{
    t->result->switched++;
    t->result->pause_sum_us += report->pause_us;
    if (report->pause_us > t->result->pause_longest_us)
        t->result->pause_longest_us = report->pause_us;
    let_go(t, in);
}

static void try_instance(trial *t, instance *in)
{
    status st;
    swap_report report;
    char hash[65];
    if (refused_before(t, in))
        return;
    instance_hash(in, hash);
    if (!strcmp(hash, t->entry->hash)) {
        let_go(t, in);
        return;
    }
    status_class class = instance_swap(in, t->entry, t->why, &report, &st);
    if (class == STATUS_OK)
        note_switch(t, in, &report);
    else if (class != STATUS_CANCELLED) /* it is going away */
        note_refusal(t, in, hash, st.text);
}

static void sweep(trial *t, bool judge)
{
    instance *in;
    reload *r = t->r;
    uint64_t round = instance_set_round(r->settings.instances);
    while (!atomic_load(&r->ending) &&
           !(judge && !t->result->switched && t->result->refused >= RELOAD_REFUSALS) &&
           (in = instance_set_next(r->settings.instances, t->entry->id, round))) {
        try_instance(t, in);
        instance_unhold(in);
    }
}

/* ---- One version ---- */

static void write_refusals(trial *t, bool keep)
{
    for (size_t i = 0; i < t->n_refusals; i++) {
        refusal *one = &t->refusals[i];
        if (keep)
            catalog_hold_back(t->r->settings.catalog, t->entry->id, one->workspace, one->instance, one->hash,
                              one->why);
        free(one->workspace);
        free(one->instance);
        free(one->why);
    }
    free(t->refusals);
    t->refusals = NULL;
    t->n_refusals = 0;
}

static void tell(reload *r, const char *deed, const char *actor, const reload_result *result)
{
    log_field fields[] = {LOG_TEXT("plugin", result->id),
                          LOG_TEXT("version", result->version),
                          LOG_TEXT("hash", result->hash),
                          LOG_TEXT("actor", actor),
                          LOG_NUMBER("switched", result->switched),
                          LOG_NUMBER("refused", result->refused),
                          LOG_NUMBER("pause_longest_us", result->pause_longest_us),
                          LOG_TEXT("cause", result->why)};
    bool refused = !strcmp(deed, "refuse");
    log_write(refused ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "plugin",
              refused ? "a version was refused: what served serves on" : "what serves has changed", fields,
              sizeof fields / sizeof *fields);
    if (r->settings.on_event)
        r->settings.on_event(r->settings.arg, deed, actor, result);
}

static status_class refuse(trial *t, const char *actor, status *st)
{
    reload *r = t->r;
    status written;
    write_refusals(t, false);
    if (catalog_refuse(r->settings.catalog, t->entry, t->result->why, &written) != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "plugin", "a refusal was not written down", &written);
    catalog_prune(r->settings.catalog); /* what came as bytes is nobody's now */
    tell(r, "refuse", actor, t->result);
    return status_set(st, STATUS_CONFLICT, "version %s of plugin %s was refused: %s", t->entry->version,
                      t->entry->id, t->result->why);
}

/* Tries the version and lets it serve. `turn` is held. */
static status_class apply(reload *r, const plugin_entry *entry, const char *deed, const char *actor,
                          reload_result *result, status *st)
{
    trial t = {.r = r, .entry = entry, .why = deed, .result = result};
    bool back = !strcmp(deed, "rollback");
    *result = (reload_result){0};
    snprintf(result->id, sizeof result->id, "%s", entry->id);
    snprintf(result->version, sizeof result->version, "%s", entry->version);
    snprintf(result->hash, sizeof result->hash, "%s", entry->hash);
    if (catalog_verify(r->settings.catalog, entry, st) != STATUS_OK)
        return status_wrap(st, "plugin %s", entry->id);
    if (r->settings.make_instances)
        r->settings.make_instances(r->settings.arg, entry->id);
    sweep(&t, true);
    if (atomic_load(&r->ending)) {
        write_refusals(&t, false);
        return status_set(st, STATUS_CANCELLED, "the host is stopping");
    }
    if (!result->switched && result->refused)
        return refuse(&t, actor, st);
    status_class class = catalog_advance(r->settings.catalog, entry, back, st);
    result->serves = true;
    sweep(&t, false);
    write_refusals(&t, true);
    status_class second = catalog_advance(r->settings.catalog, entry, back, st);
    catalog_prune(r->settings.catalog);
    tell(r, deed, actor, result);
    return class == STATUS_OK ? second : class;
}

static void set_unloaded(reload *r, const char *id, bool unloaded)
{
    instance *in;
    uint64_t round = instance_set_round(r->settings.instances);
    while ((in = instance_set_next(r->settings.instances, id, round))) {
        instance_unload(in, unloaded);
        instance_unhold(in);
    }
}

/* ---- What is asked for ---- */

/* A file that cannot be used took the place of one that could. */
static void tell_news(reload *r)
{
    catalog_news news;
    while (catalog_take_news(r->settings.catalog, &news)) {
        reload_result result = {0};
        snprintf(result.id, sizeof result.id, "%s", news.id);
        snprintf(result.why, sizeof result.why, "%s: %s", news.file, news.why);
        tell(r, "refuse", "host", &result);
        catalog_news_free(&news);
    }
}

void reload_look(reload *r)
{
    const plugin_entry *offer;
    pthread_mutex_lock(&r->turn);
    catalog_scan(r->settings.catalog);
    tell_news(r);
    while (!atomic_load(&r->ending) && (offer = catalog_take_offer(r->settings.catalog))) {
        status st;
        reload_result result;
        status_class class = apply(r, offer, "load", "host", &result, &st);
        if (class != STATUS_OK && class != STATUS_CONFLICT) /* that was told */
            log_status(LOG_LEVEL_ERROR, "plugin", "a new version", &st);
        plugin_entry_release(offer);
    }
    pthread_mutex_unlock(&r->turn);
}

static status_class load_entry(reload *r, const plugin_entry *entry, const char *deed, const char *actor,
                               reload_result *result, status *st)
{
    status_class class = entry ? apply(r, entry, deed, actor, result, st) : st->class;
    if (entry && result->serves)
        set_unloaded(r, entry->id, false);
    plugin_entry_release(entry);
    return class;
}

status_class reload_load(reload *r, const char *id, const char *actor, reload_result *result_out, status *st)
{
    *result_out = (reload_result){0};
    pthread_mutex_lock(&r->turn);
    catalog_scan(r->settings.catalog);
    tell_news(r);
    const plugin_entry *entry = catalog_newest(r->settings.catalog, id, st);
    status_class class = load_entry(r, entry, "load", actor, result_out, st);
    pthread_mutex_unlock(&r->turn);
    return class;
}

status_class reload_load_bytes(reload *r, const char *name, const void *data, size_t len, const char *actor,
                               reload_result *result_out, status *st)
{
    *result_out = (reload_result){0};
    pthread_mutex_lock(&r->turn);
    const plugin_entry *entry = catalog_take_bytes(r->settings.catalog, name, data, len, st);
    status_class class = load_entry(r, entry, "load", actor, result_out, st);
    pthread_mutex_unlock(&r->turn);
    return class;
}

status_class reload_roll_back(reload *r, const char *id, const char *actor, reload_result *result_out,
                              status *st)
{
    *result_out = (reload_result){0};
    pthread_mutex_lock(&r->turn);
    const plugin_entry *entry = catalog_previous(r->settings.catalog, id, st);
    status_class class = load_entry(r, entry, "rollback", actor, result_out, st);
    pthread_mutex_unlock(&r->turn);
    return class;
}

status_class reload_unload(reload *r, const char *id, const char *actor, reload_result *result_out,
                           status *st)
{
    *result_out = (reload_result){0};
    pthread_mutex_lock(&r->turn);
    const plugin_entry *entry = catalog_find(r->settings.catalog, id, st);
    status_class class = entry ? catalog_unload(r->settings.catalog, id, true, st) : st->class;
    if (entry && class == STATUS_OK) {
        snprintf(result_out->id, sizeof result_out->id, "%s", entry->id);
        snprintf(result_out->version, sizeof result_out->version, "%s", entry->version);
        snprintf(result_out->hash, sizeof result_out->hash, "%s", entry->hash);
        set_unloaded(r, id, true);
        tell(r, "unload", actor, result_out);
    }
    plugin_entry_release(entry);
    pthread_mutex_unlock(&r->turn);
    return class;
}
