/* Nursery, catalog, set, instance: what the host has for all plugins, here for one. */
#include "plugin_bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/log.h"
#include "process.h"

#define PATH_SIZE 4096

static status_class folder_make(plugin_bench *b, status *st)
{
    char path[PATH_SIZE];
    const char *root = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/penstock-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(path))
        return status_errno(st, errno, "making a temporary folder");
    b->folder = memory_string(path);
    return STATUS_OK;
}

static status_class folder_of(const char *given, char out[PATH_SIZE], status *st)
{
    if (!given)
        return plugins_find(out, PATH_SIZE, st);
    char *real = realpath(given, NULL);
    if (!real)
        return status_errno(st, errno, given);
    snprintf(out, PATH_SIZE, "%s", real);
    free(real);
    return STATUS_OK;
}

static status_class catalog_open(plugin_bench *b, const char *plugins, status *st)
{
    char folder[PATH_SIZE];
    if (folder_of(plugins, folder, st) != STATUS_OK || folder_make(b, st) != STATUS_OK)
        return st->class;
    b->spawner = nursery_start(st);
    b->cell = b->spawner ? cell_program_find(st) : NULL;
    if (!b->cell)
        return st->class;
    const char *const folders[] = {folder};
    const catalog_settings settings = {.folders = folders,
                                       .n_folders = 1,
                                       .state_folder = b->folder,
                                       .cell_program = b->cell,
                                       .spawner = b->spawner};
    return catalog_create(&settings, &b->catalog, st);
}

static status_class config_read(const plugin_entry *entry, const char *config, json_t **ret, status *st)
{
    json_error_t error;
    json_t *given = json_loads(config, JSON_REJECT_DUPLICATES, &error);
    if (!given)
        return status_at(st, STATUS_INVALID, "--config", "%s", error.text);
    status_class class = plugin_config_complete(entry, given, ret, st);
    json_decref(given);
    return class == STATUS_OK ? class : status_wrap(st, "the configuration");
}

static status_class instance_open_for(plugin_bench *b, const plugin_entry *entry, const char *config,
                                      status *st)
{
    json_t *complete = NULL;
    const instance_set_settings shared = {.spawner = b->spawner, .cell_program = b->cell};
    if (config_read(entry, config, &complete, st) != STATUS_OK)
        return st->class;
    b->set = instance_set_create(&shared);
    const instance_settings own = {
        .plugin = entry, .workspace = "bench", .name = "bench", .config = complete};
    b->instance = instance_create(b->set, &own);
    json_decref(complete);
    return instance_start(b->instance, NULL, st);
}

status_class plugin_bench_open(plugin_bench *b, const char *plugin_id, const char *plugins,
                               const char *config, status *st)
{
    memset(b, 0, sizeof *b);
    log_setup(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_WARN);
    if (catalog_open(b, plugins, st) != STATUS_OK)
        return st->class;
    const plugin_entry *entry = catalog_find(b->catalog, plugin_id, st);
    if (!entry)
        return st->class;
    status_class class = instance_open_for(b, entry, config, st);
    plugin_entry_release(entry);
    return class;
}

void plugin_bench_close(plugin_bench *b)
{
    status ignored;
    instance_free(b->instance);
    instance_set_free(b->set);
    catalog_free(b->catalog);
    nursery_stop(b->spawner);
    if (b->folder)
        disk_remove_tree(b->folder, &ignored);
    free(b->folder);
    free(b->cell);
    memset(b, 0, sizeof *b);
}
