/* `penstock plugin new|build|test|run`: what the author of a plugin works with, without a server. */
#include "plugin_new.h"
#include "tables.h"

const command plugin_kit_commands[] = {
    {"plugin", "new", "KIND NAME", 2, 2, plugin_new_flags,
     "begins a plugin (connector, notifier, metric or model): source, schema, test, README, CMake",
     "plugin new connector tide-gauge\nplugin new model drift --vendor com.acme --folder ~/src/drift",
     plugin_new, NULL},
    {0},
};
