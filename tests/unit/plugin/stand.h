/* A test stand for plugins: nursery, plugin folder, catalog and instance set, with real cells. */
#ifndef PENSTOCK_TESTS_PLUGIN_STAND_H
#define PENSTOCK_TESTS_PLUGIN_STAND_H
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "config/settings.h"
#include "plugin/catalog.h"
#include "plugin/instance.h"
#include "support/check.h"

typedef struct stand {
    nursery *spawner;
    char *folder; /* of everything */
    char plugins[4096], state[4096];
    catalog *catalog;
    settings *settings; /* grants the folder */
    instance_set *set;
    void (*on_event)(void *self, const char *instance, const char *verb, const char *text);
} stand;

static inline void must(status_class class, const status *st)
{
    if (class != STATUS_OK)
        print_error("%s: %s (%s)\n", status_class_name(class), st->text, st->where);
    assert_int_equal(class, STATUS_OK);
}

/* Puts a test plugin into the plugin folder, as an operator would: copy beside, rename. */
static inline void stand_drop_in(const stand *s, const char *name, const char *as)
{
    status st;
    char from[4096], beside[4200], to[4200];
    snprintf(from, sizeof from, TEST_PLUGINS "/%s.so", name);
    snprintf(beside, sizeof beside, "%s/.new", s->plugins);
    snprintf(to, sizeof to, "%s/%s.so", s->plugins, as);
    must(disk_copy(from, beside, 0644, &st), &st);
    assert_int_equal(rename(beside, to), 0);
}

/* nursery_start must come before any thread; call it once in main's setup. */
static inline void stand_up(stand *s, nursery *spawner, const char *const *plugins)
{
    status st;
    *s = (stand){.spawner = spawner, .folder = test_folder()};
    snprintf(s->plugins, sizeof s->plugins, "%s/plugins", s->folder);
    snprintf(s->state, sizeof s->state, "%s/state", s->folder);
    must(disk_make_folder(s->plugins, 0755, &st), &st);
    for (size_t i = 0; plugins && plugins[i]; i++)
        stand_drop_in(s, plugins[i], plugins[i]);
    const char *folders[] = {s->plugins};
    catalog_settings settings = {.folders = folders,
                                 .n_folders = 1,
                                 .state_folder = s->state,
                                 .cell_program = CELL_PROGRAM,
                                 .spawner = spawner};
    must(catalog_create(&settings, &s->catalog, &st), &st);
    char granted[4200];
    snprintf(granted, sizeof granted, "--files.allow=%s", s->folder);
    const char *flags[] = {granted, "--networks.allow=127.0.0.0/8,::1/128"};
    const settings_source source = {.argc = 2, .argv = flags};
    must(settings_load(&source, &s->settings, &st), &st);
    instance_set_settings common = {
        .spawner = spawner, .cell_program = CELL_PROGRAM, .settings = s->settings};
    s->set = instance_set_create(&common);
}

static inline void stand_down(stand *s)
{
    instance_set_free(s->set);
    catalog_free(s->catalog);
    settings_free(s->settings);
    test_folder_remove(s->folder);
}

static inline status_class stand_secret(void *self, const char *workspace, const char *reference,
                                        const char *subject, text *value_out, status *st)
{
    (void)self, (void)subject;
    assert_string_equal(workspace, "acme");
    if (strcmp(reference, "door") != 0)
        return status_set(st, STATUS_NOT_FOUND, "there is no secret %s", reference);
    text_add(value_out, "open sesame");
    return STATUS_OK;
}

/* `config` is JSON; defaults are filled in. */
static inline instance *stand_instance(stand *s, const char *id, const char *config)
{
    status st;
    const plugin_entry *entry = catalog_find(s->catalog, id, &st);
    if (!entry)
        print_error("%s\n", st.text);
    assert_non_null(entry);
    json_t *given = json_loads(config, 0, NULL), *complete;
    assert_non_null(given);
    must(plugin_config_complete(entry, given, &complete, &st), &st);
    instance_settings settings = {.plugin = entry,
                                  .workspace = "acme",
                                  .name = "it",
                                  .config = complete,
                                  .secrets = {.fetch = stand_secret},
                                  .watcher = {.on_event = s->on_event}};
    instance *in = instance_create(s->set, &settings);
    json_decref(given);
    json_decref(complete);
    plugin_entry_release(entry);
    return in;
}

static inline void stand_copy_state(const instance_state *state, void *arg)
{
    *(instance_state *)arg = *state;
}

static inline instance_state stand_state(stand *s)
{
    instance_state out = {0};
    plugin_states(s->set, stand_copy_state, &out);
    return out;
}
#endif
