/* `penstock plugin new|build|test|run`: what the author of a plugin works with, without a server. */
#include "plugin_build.h"
#include "plugin_new.h"
#include "plugin_run.h"
#include "tables.h"

const command plugin_kit_commands[] = {
    {"plugin", "new", "KIND NAME", 2, 2, plugin_new_flags,
     "begins a plugin (connector, notifier, metric or model): source, schema, test, README, CMake",
     "plugin new connector tide-gauge\nplugin new model drift --vendor com.acme --folder ~/src/drift",
     plugin_new, NULL},
    {"plugin", "build", "[FOLDER]", 0, 1, NULL,
     "builds a plugin's project into FOLDER/build, by CMake or by the compiler alone",
     "plugin build tide-gauge", plugin_build, NULL},
    {"plugin", "test", "[FOLDER|FILE.so]", 0, 1, plugin_test_flags,
     "builds a plugin, then runs penstock-check and the project's own test",
     "plugin test tide-gauge\nplugin test build/tide-gauge.so --case cancel", plugin_test, NULL},
    {"plugin", "run", "FILE.so", 1, 1, plugin_run_flags,
     "runs one plugin in a real cell, without a server: prints a connector's rows, a metric engine's or "
     "model's "
     "answer; lets a notifier send",
     "plugin run build/tide-gauge.so --config '{station: harbour}' --rows 5\n"
     "plugin run build/drift.so --config c.yaml --train t.ndjson --input rows.ndjson\n"
     "plugin run --gdb build/drift.so --input rows.ndjson",
     plugin_run, NULL},
    {0},
};
