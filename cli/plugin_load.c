/* `penstock plugin load|unload|rollback`: which version of a plugin serves. A file travels as bytes, so that
 * the host may be another machine. */
#include <string.h>

#include "base/disk.h"
#include "complaint.h"
#include "exit_code.h"
#include "plugin/catalog.h"
#include "resource.h"
#include "tables.h"

/* What was done, without the schema and the lists: those are in -o json. */
static void show_change(const output *out, const json_t *document)
{
    static const char *const members[] = {
        "id", "version", "state", "hash", "switched", "retried", "refusals", "pause_longest_us", "pinned"};
    if (out->format != OUTPUT_TABLE) {
        output_object(out, document);
        return;
    }
    json_t *shown = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(document, members[i]))
            json_object_set(shown, members[i], json_object_get(document, members[i]));
    output_object(out, shown);
    json_decref(shown);
}

static int finish(invocation *inv, status_class class, const output *out, answer *a, const status *st)
{
    char what[64];
    snprintf(what, sizeof what, "plugin %s failed", inv->command->verb);
    if (class == STATUS_OK)
        show_change(out, a->json);
    answer_release(a);
    return class == STATUS_OK ? EXIT_DONE : complain(what, st);
}

static int change(invocation *inv, const char *path)
{
    status st;
    output out;
    answer a = {0};
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    request r = {.method = "POST", .once = true};
    return finish(inv, resource_call(inv, &r, path, &a, &st), &out, &a, &st);
}

static int run_change(invocation *inv)
{
    return change(inv, inv->command->data);
}

static int upload(invocation *inv, const char *file, const text *bytes)
{
    status st;
    output out;
    answer a = {0};
    text path = {0};
    const char *slash = strrchr(file, '/');
    if (output_make(inv, &out, &st) != STATUS_OK)
        return complain_usage(&st);
    text_add(&path, "/plugins:load?name=");
    path_escape(&path, slash ? slash + 1 : file);
    request r = {.method = "POST",
                 .once = true,
                 .body = text_or_empty(bytes),
                 .len = bytes->len,
                 .type = "application/octet-stream"};
    int code = finish(inv, resource_call(inv, &r, path.data, &a, &st), &out, &a, &st);
    text_free(&path);
    return code;
}

/* A file, or the id of a plugin whose newest file the host is to take. */
static bool names_file(const char *word)
{
    size_t len = strlen(word);
    return strchr(word, '/') || (len > 3 && !strcmp(word + len - 3, ".so"));
}

static int run_load(invocation *inv)
{
    status st;
    text bytes = {0};
    const char *file = argument(inv, 0);
    if (!names_file(file))
        return change(inv, "/plugins/{0}:load");
    if (disk_read(file, PLUGIN_FILE_MAX_BYTES, &bytes, &st) != STATUS_OK) {
        text_free(&bytes);
        return complain(file, &st);
    }
    int code = upload(inv, file, &bytes);
    text_free(&bytes);
    return code;
}

const command plugin_load_commands[] = {
    {"plugin", "load", "FILE|ID", 1, 1, NULL,
     "take a plugin's file, or the newest file of an id that the host has, into use while everything runs",
     "plugin load build/my-thing.so\nplugin load org.example.my-thing", run_load, NULL},
    {"plugin", "unload", "ID", 1, 1, NULL,
     "stop a plugin's instances until it is loaded again; data, cursors and artifacts stay",
     "plugin unload org.example.my-thing", run_change, "/plugins/{0}:unload"},
    {"plugin", "rollback", "ID", 1, 1, NULL, "go back to the version of a plugin that served before",
     "plugin rollback org.example.my-thing", run_change, "/plugins/{0}:rollback"},
    {"plugin", "retry", "ID", 1, 1, NULL,
     "give a plugin's instances that are in quarantine another chance at once",
     "plugin retry org.example.my-thing", run_change, "/plugins/{0}:retry"},
    {0},
};
