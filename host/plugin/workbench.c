/* Nursery, catalog, set, instance: what the host has for all plugins, here for one. A single file needs no
 * catalog: a probe cell describes it. */
#include "plugin/workbench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/disk.h"
#include "config/settings.h"
#include "plugin/entry.h"
#include "plugin/probe.h"

#define PATH_SIZE 4096

static status_class folder_make(workbench *b, status *st)
{
    char path[PATH_SIZE];
    const char *root = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/penstock-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(path))
        return status_errno(st, errno, "making a temporary folder");
    b->folder = memory_string(path);
    return STATUS_OK;
}

static status_class entry_from_folder(workbench *b, const workbench_settings *s, status *st)
{
    const char *const folders[] = {s->folder};
    if (folder_make(b, st) != STATUS_OK)
        return st->class;
    const catalog_settings settings = {.folders = folders,
                                       .n_folders = 1,
                                       .state_folder = b->folder,
                                       .cell_program = b->cell,
                                       .spawner = b->spawner};
    if (catalog_create(&settings, &b->catalog, st) != STATUS_OK)
        return st->class;
    b->entry = catalog_find(b->catalog, s->id, st);
    return b->entry ? STATUS_OK : st->class;
}

static status_class entry_from_file(workbench *b, const workbench_settings *s, status *st)
{
    json_t *said = NULL;
    if (s->entry) {
        b->entry = plugin_entry_hold(s->entry);
        return STATUS_OK;
    }
    char *real = realpath(s->file, NULL);
    if (!real)
        return status_set(st, STATUS_NOT_FOUND, "%s: %s", s->file, strerror(errno));
    status_class class = probe_run(b->spawner, b->cell, NULL, real, &said, st);
    if (class == STATUS_OK)
        class = entry_make(real, real, "", said, &b->entry, st);
    json_decref(said);
    free(real);
    return class == STATUS_OK ? class : status_wrap(st, "%s", s->file);
}

/* What the platform's settings would grant. */
static status_class settings_make(workbench *b, const workbench_settings *s, status *st)
{
    const char *argv[4];
    int n = 0;
    if (s->files) {
        argv[n++] = "--files-allow";
        argv[n++] = s->files;
    }
    if (s->networks) {
        argv[n++] = "--networks-allow";
        argv[n++] = s->networks;
    }
    const settings_source source = {.argc = n, .argv = argv};
    return settings_load(&source, &b->settings, st);
}

static status_class instance_make(workbench *b, const workbench_settings *s, status *st)
{
    json_t *complete = NULL;
    if (settings_make(b, s, st) != STATUS_OK)
        return st->class;
    const instance_set_settings shared = {
        .spawner = b->spawner, .cell_program = b->cell, .settings = b->settings, .no_sandbox = s->patient};
    if (plugin_config_complete(b->entry, s->config, &complete, st) != STATUS_OK)
        return status_wrap(st, "the configuration");
    b->set = instance_set_create(&shared);
    const instance_settings own = {
        .plugin = b->entry, .workspace = "bench", .name = "bench", .config = complete, .secrets = s->secrets};
    b->instance = instance_create(b->set, &own);
    json_decref(complete);
    return STATUS_OK;
}

status_class workbench_open(workbench *b, const workbench_settings *settings, status *st)
{
    memset(b, 0, sizeof *b);
    b->spawner = nursery_start(st);
    b->cell = b->spawner ? cell_program_find(st) : NULL;
    if (!b->cell)
        return st->class;
    status_class class =
        settings->file ? entry_from_file(b, settings, st) : entry_from_folder(b, settings, st);
    return class == STATUS_OK ? instance_make(b, settings, st) : class;
}

void workbench_close(workbench *b)
{
    status ignored;
    instance_free(b->instance);
    instance_set_free(b->set);
    plugin_entry_release(b->entry);
    catalog_free(b->catalog);
    nursery_stop(b->spawner);
    settings_free(b->settings);
    if (b->folder)
        disk_remove_tree(b->folder, &ignored);
    free(b->folder);
    free(b->cell);
    memset(b, 0, sizeof *b);
}
