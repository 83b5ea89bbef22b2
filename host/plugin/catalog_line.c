/* Lines of the catalog: which version of an id serves, and how that changes. A change is made under the lock
 * and then written down outside of it; whoever changes something asks for the writing. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/name.h"
#include "plugin/catalog_private.h"

/* ---- Writing down ---- */

static status_class save(catalog *c, status *st)
{
    char path[COPY_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/" GENERATION_FILE, c->store);
    pthread_mutex_lock(&c->saving);
    pthread_mutex_lock(&c->lock);
    json_t *document = generations_document(&c->generations);
    c->unsaved = false;
    pthread_mutex_unlock(&c->lock);
    char *words = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
    assert(words);
    status_class class = disk_write(path, words, strlen(words), 0644, st);
    pthread_mutex_unlock(&c->saving);
    if (class != STATUS_OK) {
        pthread_mutex_lock(&c->lock);
        c->unsaved = true;
        pthread_mutex_unlock(&c->lock);
        status_wrap(st, "it cannot be written down which versions serve");
    }
    free(words);
    json_decref(document);
    return class;
}

static void catalog_save_if_needed(catalog *c)
{
    status st;
    pthread_mutex_lock(&c->lock);
    bool needed = c->unsaved;
    pthread_mutex_unlock(&c->lock);
    if (needed && save(c, &st) != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "plugin", "a restart would not know what serves", &st);
}

/* ---- What arrived ---- */

static bool newer(const record *a, const record *b)
{
    return a->changed.tv_sec > b->changed.tv_sec ||
           (a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec > b->changed.tv_nsec);
}

/* The newest usable file with that id; `arrived`: among those that arrived. */
static const record *newest(const catalog *c, const char *id, bool arrived)
{
    const record *best = NULL;
    for (size_t i = 0; i < c->n; i++) {
        const record *r = &c->records[i];
        if (r->entry->broken || strcmp(r->entry->id, id) != 0 || (arrived && !r->arrived))
            continue;
        if (!best || newer(r, best))
            best = r;
    }
    return best;
}

static void line_serve(catalog *c, generation_line *line, const plugin_entry *entry)
{
    generation_advance(line, entry->hash, entry->version, clock_wall_us());
    plugin_entry_release(line->entry);
    line->entry = plugin_entry_hold(entry);
    c->unsaved = true;
}

static void line_offer(generation_line *line, const plugin_entry *entry)
{
    plugin_entry_release(line->offered);
    line->offered = entry ? plugin_entry_hold(entry) : NULL;
}

/* The content of that file is known from now on. */
static void note(catalog *c, const plugin_entry *entry)
{
    if (*entry->file != '/' || !strncmp(entry->file, c->store, strlen(c->store)))
        return; /* it came as bytes, or is a copy of ours */
    char mark[COPY_HASH_TEXT];
    catalog_mark(entry, mark);
    generations_note_file(&c->generations, entry->file, mark, entry->broken ? NULL : entry->id);
    c->unsaved = true;
}

static void settle_broken(catalog *c, const record *r)
{
    const generation_file *known = generations_file(&c->generations, r->file);
    generation_line *line = known ? generations_find(&c->generations, known->id) : NULL;
    if (line && line->entry) {
        generation_refuse(line, r->entry->hash ? r->entry->hash : "", "", r->entry->broken, clock_wall_us());
        c->news = memory_grow(c->news, (c->n_news + 1) * sizeof *c->news);
        c->news[c->n_news++] =
            (catalog_news){memory_string(line->id), memory_string(r->file), memory_string(r->entry->broken)};
    }
    note(c, r->entry);
}

static void settle_usable(catalog *c, const record *r)
{
    const plugin_entry *entry = r->entry;
    generation_line *line = generations_find(&c->generations, entry->id);
    bool first = !line || !line->entry;
    if (newest(c, entry->id, true) != r) {
        note(c, entry); /* another file with this id arrived later */
        return;
    }
    if (!line)
        line = generations_add(&c->generations, entry->id);
    if (first)
        line_serve(c, line, entry);
    bool other = strcmp(line->current.hash, entry->hash) != 0;
    line_offer(line, other && !line->unloaded ? entry : NULL);
    if (!line->offered)
        note(c, entry); /* an offer is noted when it was tried */
}

void catalog_settle(catalog *c)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n; i++) {
        if (!c->records[i].arrived)
            continue;
        if (c->records[i].entry->broken)
            settle_broken(c, &c->records[i]);
        else
            settle_usable(c, &c->records[i]);
    }
    for (size_t i = 0; i < c->n; i++)
        c->records[i].arrived = false;
    pthread_mutex_unlock(&c->lock);
    catalog_save_if_needed(c);
}

bool catalog_take_news(catalog *c, catalog_news *out)
{
    pthread_mutex_lock(&c->lock);
    bool any = c->n_news > 0;
    if (any) {
        *out = c->news[0];
        memmove(c->news, c->news + 1, --c->n_news * sizeof *c->news);
    }
    pthread_mutex_unlock(&c->lock);
    return any;
}

void catalog_news_free(catalog_news *news)
{
    free(news->id);
    free(news->file);
    free(news->why);
}

/* ---- The start ---- */

static const plugin_entry *entry_with_hash(const catalog *c, const char *hash)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->records[i].entry->broken && !strcmp(c->records[i].entry->hash, hash))
            return plugin_entry_hold(c->records[i].entry);
    for (size_t i = 0; i < c->generations.n_lines; i++) {
        const generation_line *line = &c->generations.lines[i];
        if (line->entry && !strcmp(line->entry->hash, hash))
            return plugin_entry_hold(line->entry);
    }
    return NULL;
}

/* By file or from its copy; held. NULL: it cannot be used any more. */
static const plugin_entry *entry_of(catalog *c, const char *hash, status *st)
{
    char path[COPY_PATH_BYTES];
    pthread_mutex_lock(&c->lock);
    const plugin_entry *entry = entry_with_hash(c, hash);
    pthread_mutex_unlock(&c->lock);
    copy_path(c->store, hash, path);
    if (entry && copy_verify(c->store, hash, st) != STATUS_OK) {
        plugin_entry_release(entry);
        return NULL;
    }
    if (!entry)
        catalog_probe_copy(c, hash, path, &entry, st);
    return entry;
}

/* What served cannot be had any more: the newest file does, or else the version before. */
static void serve_instead(catalog *c, generation_line *line, const status *why)
{
    status st;
    log_status(LOG_LEVEL_ERROR, "plugin", "the version that served is lost", why);
    pthread_mutex_lock(&c->lock);
    const record *r = newest(c, line->id, false);
    const plugin_entry *entry = r ? plugin_entry_hold(r->entry) : NULL;
    pthread_mutex_unlock(&c->lock);
    if (!entry && *line->previous.hash)
        entry = entry_of(c, line->previous.hash, &st);
    if (!entry)
        return;
    pthread_mutex_lock(&c->lock);
    line_serve(c, line, entry);
    note(c, entry);
    pthread_mutex_unlock(&c->lock);
    plugin_entry_release(entry);
}

void catalog_restore(catalog *c) /* nobody else knows the catalog yet: lines do not move */
{
    for (size_t i = 0; i < c->generations.n_lines; i++) {
        status st;
        generation_line *line = &c->generations.lines[i];
        line->entry = entry_of(c, line->current.hash, &st);
        if (!line->entry)
            serve_instead(c, line, &st);
    }
}

/* ---- Looking up ---- */

static void not_found(const catalog *c, const char *id, status *st)
{
    const generations *g = &c->generations;
    const char **ids = memory_zero(g->n_lines + 1, sizeof *ids);
    for (size_t i = 0; i < g->n_lines; i++)
        ids[i] = g->lines[i].id;
    const char *near = name_suggest(id, ids, g->n_lines);
    status_set(st, STATUS_NOT_FOUND, "there is no plugin %s", id);
    if (near)
        status_hint(st, "did you mean %s?", near);
    else
        status_hint(st, "drop its .so into %s", c->n_folders ? c->folders[0] : "the plugin folder");
    free(ids);
}

const plugin_entry *catalog_find(catalog *c, const char *id, status *st)
{
    pthread_mutex_lock(&c->lock);
    const generation_line *line = generations_find(&c->generations, id);
    const plugin_entry *entry = line && line->entry ? plugin_entry_hold(line->entry) : NULL;
    if (!line)
        not_found(c, id, st);
    else if (!entry)
        status_set(st, STATUS_NOT_FOUND, "the file of plugin %s is gone, and its copy too", id);
    pthread_mutex_unlock(&c->lock);
    return entry;
}

const plugin_entry *catalog_find_for(catalog *c, const char *id, const char *workspace, const char *instance,
                                     status *st)
{
    char hash[COPY_HASH_TEXT] = "";
    pthread_mutex_lock(&c->lock);
    generation_line *line = generations_find(&c->generations, id);
    const generation_holdback *held = line ? generation_held_back(line, workspace, instance) : NULL;
    if (held)
        memcpy(hash, held->hash, sizeof hash);
    pthread_mutex_unlock(&c->lock);
    const plugin_entry *entry = *hash ? entry_of(c, hash, st) : NULL;
    return entry ? entry : catalog_find(c, id, st);
}

static plugin_version version_of(const generation *g)
{
    return *g->hash ? (plugin_version){g->hash, g->version, g->since_us} : (plugin_version){0};
}

static bool has_file(const catalog *c, const char *hash)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->records[i].entry->hash && !strcmp(c->records[i].entry->hash, hash))
            return true;
    return false;
}

static void show_line(const catalog *c, const generation_line *line,
                      void (*on_line)(const plugin_line *line, void *arg), void *arg)
{
    plugin_holdback *held = memory_zero(line->n_holdbacks + 1, sizeof *held);
    for (size_t i = 0; i < line->n_holdbacks; i++) {
        const generation_holdback *h = &line->holdbacks[i];
        held[i] = (plugin_holdback){h->workspace, h->instance, h->hash, h->why};
    }
    plugin_line shown = {.id = line->id,
                         .entry = line->entry,
                         .current = version_of(&line->current),
                         .previous = version_of(&line->previous),
                         .refused = version_of(&line->refused),
                         .refused_why = line->refused_why,
                         .pinned = line->pinned,
                         .unloaded = line->unloaded,
                         .file_gone = !has_file(c, line->current.hash),
                         .holdbacks = held,
                         .n_holdbacks = line->n_holdbacks};
    on_line(&shown, arg);
    free(held);
}

bool catalog_lines(catalog *c, const char *id, void (*on_line)(const plugin_line *line, void *arg), void *arg)
{
    bool any = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->generations.n_lines; i++) {
        const generation_line *line = &c->generations.lines[i];
        if (id && strcmp(line->id, id) != 0)
            continue;
        show_line(c, line, on_line, arg);
        any = true;
    }
    pthread_mutex_unlock(&c->lock);
    return any;
}

bool catalog_unloaded(catalog *c, const char *id)
{
    pthread_mutex_lock(&c->lock);
    const generation_line *line = generations_find(&c->generations, id);
    bool unloaded = line && line->unloaded;
    pthread_mutex_unlock(&c->lock);
    return unloaded;
}

/* ---- Changing ---- */

const plugin_entry *catalog_take_offer(catalog *c)
{
    const plugin_entry *offer = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->generations.n_lines && !offer; i++) {
        offer = c->generations.lines[i].offered;
        c->generations.lines[i].offered = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    return offer;
}

status_class catalog_advance(catalog *c, const plugin_entry *entry, bool pinned, status *st)
{
    pthread_mutex_lock(&c->lock);
    generation_line *line = generations_find(&c->generations, entry->id);
    if (!line)
        line = generations_add(&c->generations, entry->id);
    line_serve(c, line, entry);
    line->pinned = pinned;
    line->unloaded = false;
    if (!pinned)
        note(c, entry);
    pthread_mutex_unlock(&c->lock);
    return save(c, st);
}

status_class catalog_refuse(catalog *c, const plugin_entry *entry, const char *why, status *st)
{
    pthread_mutex_lock(&c->lock);
    generation_line *line = generations_find(&c->generations, entry->id);
    if (line)
        generation_refuse(line, entry->hash, entry->version, why, clock_wall_us());
    note(c, entry);
    pthread_mutex_unlock(&c->lock);
    return save(c, st);
}

status_class catalog_unload(catalog *c, const char *id, bool unloaded, status *st)
{
    pthread_mutex_lock(&c->lock);
    generation_line *line = generations_find(&c->generations, id);
    if (line)
        line->unloaded = unloaded;
    else
        not_found(c, id, st);
    pthread_mutex_unlock(&c->lock);
    return line ? save(c, st) : st->class;
}

void catalog_hold_back(catalog *c, const char *id, const char *workspace, const char *instance,
                       const char *hash, const char *why)
{
    pthread_mutex_lock(&c->lock);
    generation_line *line = generations_find(&c->generations, id);
    if (line && hash)
        generation_hold_back(line, workspace, instance, hash, why);
    else if (line)
        generation_let_go(line, workspace, instance);
    c->unsaved = true;
    pthread_mutex_unlock(&c->lock);
}

const plugin_entry *catalog_previous(catalog *c, const char *id, status *st)
{
    char hash[COPY_HASH_TEXT] = "";
    pthread_mutex_lock(&c->lock);
    const generation_line *line = generations_find(&c->generations, id);
    if (line)
        memcpy(hash, line->previous.hash, sizeof hash);
    else
        not_found(c, id, st);
    pthread_mutex_unlock(&c->lock);
    if (line && !*hash)
        status_set(st, STATUS_CONFLICT, "plugin %s has no earlier version on this host", id);
    return *hash ? entry_of(c, hash, st) : NULL;
}

const plugin_entry *catalog_newest(catalog *c, const char *id, status *st)
{
    pthread_mutex_lock(&c->lock);
    const record *r = newest(c, id, false);
    const plugin_entry *entry = r ? plugin_entry_hold(r->entry) : NULL;
    pthread_mutex_unlock(&c->lock);
    return entry ? entry : catalog_find(c, id, st);
}

/* ---- Copies that nobody needs ---- */

static bool wanted(void *arg, const char *hash)
{
    catalog *c = arg;
    pthread_mutex_lock(&c->lock);
    bool used = generations_use(&c->generations, hash) || has_file(c, hash);
    pthread_mutex_unlock(&c->lock);
    return used;
}

void catalog_prune(catalog *c)
{
    pthread_mutex_lock(&c->scanning); /* a copy is there before its record */
    copy_prune(c->store, wanted, c);
    pthread_mutex_unlock(&c->scanning);
}
