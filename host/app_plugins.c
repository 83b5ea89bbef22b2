/* The plugins of the host: the catalog of their files, the cells that they run in, and what replaces them. */
#include <stdlib.h>
#include <unistd.h>

#include "app_private.h"
#include "base/arena.h"

static char *cell_program(app *a, status *st)
{
    const char *set = settings_text(a->settings, "plugins.cell");
    return set ? memory_string(set) : cell_program_find(st);
}

static const char *cell_user(app *a)
{
    return geteuid() == 0 ? settings_text(a->settings, "plugins.user") : NULL;
}

static instance_deadlines plugin_deadlines(const settings *s)
{
    return (instance_deadlines){.open = settings_integer(s, "plugins.deadline.open"),
                                .read = settings_integer(s, "plugins.deadline.read"),
                                .send = settings_integer(s, "plugins.deadline.send"),
                                .receive = settings_integer(s, "plugins.deadline.receive"),
                                .infer = settings_integer(s, "plugins.deadline.infer"),
                                .evaluate = settings_integer(s, "plugins.deadline.evaluate"),
                                .train = settings_integer(s, "plugins.deadline.train"),
                                .check = settings_integer(s, "plugins.deadline.check")};
}

status_class app_plugins_open(app *a, status *st)
{
    const char *const *folders;
    size_t n = settings_list(a->settings, "plugins.folders", &folders);
    if (a->catalog)
        return STATUS_OK;
    char *cell = cell_program(a, st);
    if (!cell)
        return st->class; /* NOLINT(clang-analyzer-core.uninitialized.UndefReturn) set with every failure */
    catalog_settings cs = {.folders = folders,
                           .n_folders = n,
                           .state_folder = a->state,
                           .cell_program = cell,
                           .cell_user = cell_user(a),
                           .spawner = a->nursery};
    status_class class = catalog_create(&cs, &a->catalog, st);
    const state_keeper keeper = app_state_keeper(a);
    instance_set_settings is = {.spawner = a->nursery,
                                .cell_program = cell,
                                .cell_user = cell_user(a),
                                .memory_bytes = settings_integer(a->settings, "plugins.memory"),
                                .settings = a->settings,
                                .keeper = &keeper,
                                .deadlines = plugin_deadlines(a->settings),
                                .cells_max = (unsigned)settings_integer(a->settings, "limits.cells")};
    if (class == STATUS_OK)
        a->instances = instance_set_create(&is);
    free(cell);
    return class;
}
