/* Texts of flags are JSON or YAML; what begins with neither { nor [ is the name of a file. */
#include "plugin_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/log.h"
#include "complaint.h"
#include "config/yaml_tree.h"
#include "debugger.h"
#include "exit_code.h"
#include "mapping_flag.h"
#include "plugin_drive.h"

const flag plugin_run_flags[] = {
    {"config", 0, "FILE|YAML", "its configuration; default {}"},
    {"input", 0, "FILE", "rows for a metric engine or a model, one JSON object a line"},
    {"train", 0, "FILE", "rows for a model to learn from; default those of --input"},
    {"definition", 0, "FILE|YAML", "what a metric engine computes"},
    {"parameters", 0, "FILE|YAML", "parameters of the metric"},
    {"message", 0, "FILE|YAML", "what a notifier sends: severity, delivery_id, title, text"},
    {"secrets", 0, "FILE", "values of secrets by the name that the configuration uses, as YAML"},
    {"rows", 0, "N", "stop after N rows of a connector; default at its end, or at Ctrl-C"},
    {"files", 0, "DIR", "let it read this folder, as the host's files.allow would"},
    {"networks", 0, "CIDR", "let it reach this private network, as the host's networks.allow would"},
    {"gdb", 0, NULL, "no sandbox, no deadlines, core dumps on; gdb is attached before the first call"},
    {0},
};

typedef struct texts { /* what the flags hold, read; all released by texts_end */
    yaml_tree *config, *definition, *parameters, *message, *secrets;
} texts;

static status_class texts_read(const invocation *inv, texts *t, status *st)
{
    status_class class = mapping_flag_read(inv, "config", &t->config, st);
    if (class == STATUS_OK)
        class = mapping_flag_read(inv, "definition", &t->definition, st);
    if (class == STATUS_OK)
        class = mapping_flag_read(inv, "parameters", &t->parameters, st);
    if (class == STATUS_OK)
        class = mapping_flag_read(inv, "message", &t->message, st);
    return class == STATUS_OK ? mapping_flag_read(inv, "secrets", &t->secrets, st) : class;
}

static void texts_end(texts *t)
{
    yaml_tree_free(t->config);
    yaml_tree_free(t->definition);
    yaml_tree_free(t->parameters);
    yaml_tree_free(t->message);
    yaml_tree_free(t->secrets);
}

static json_t *root_of(const yaml_tree *t)
{
    return t ? yaml_tree_root(t) : NULL;
}

static status_class on_secret(void *self, const char *workspace, const char *reference, const char *subject,
                              text *out, status *st)
{
    (void)workspace, (void)subject;
    const char *value = json_string_value(json_object_get(root_of(self), reference));
    if (value)
        text_add(out, value);
    else
        status_set(st, STATUS_NOT_FOUND, "--secrets has no value called %s", reference);
    return value ? STATUS_OK : STATUS_NOT_FOUND;
}

static void on_state(const instance_state *state, void *arg)
{
    pid_t *pid = arg;
    *pid = state->pid;
}

/* Errors in the config point into its file. */
static void place_put(const texts *t, status *st)
{
    char where[sizeof st->where];
    if (!t->config || st->where[0] != '/')
        return;
    yaml_tree_where(t->config, st->where, false, where, sizeof where);
    snprintf(st->where, sizeof st->where, "%s", where);
}

static status_class work(const invocation *inv, texts *t, workbench *b, status *st)
{
    pid_t cell = 0, gdb = 0;
    char *definition = t->definition ? json_dumps(root_of(t->definition), JSON_COMPACT) : strdup("{}");
    char *parameters = t->parameters ? json_dumps(root_of(t->parameters), JSON_COMPACT) : strdup("{}");
    drive_order order = {.input = flag_text(inv, "input", NULL),
                         .train = flag_text(inv, "train", NULL),
                         .definition = definition,
                         .parameters = parameters,
                         .message = root_of(t->message)};
    status_class class = flag_number(inv, "rows", 1, 1000000000, &order.rows, st);
    if (class == STATUS_OK)
        class = instance_start(b->instance, NULL, st);
    if (class == STATUS_OK && flag_given(inv, "gdb")) {
        plugin_states(b->set, on_state, &cell);
        gdb = debugger_attach(cell);
    }
    if (class == STATUS_OK)
        class = plugin_drive(b, &order, st);
    debugger_wait(gdb);
    free(definition);
    free(parameters);
    return class;
}

int plugin_run(invocation *inv)
{
    status st;
    texts t = {0};
    workbench b = {0};
    char *files = flag_given(inv, "files") ? realpath(flag_text(inv, "files", ""), NULL) : NULL;
    log_setup(STDERR_FILENO, LOG_FORMAT_LOGFMT, LOG_LEVEL_INFO);
    status_class class = texts_read(inv, &t, &st);
    if (class == STATUS_OK) {
        const workbench_settings settings = {.file = argument(inv, 0),
                                             .config = root_of(t.config),
                                             .files = files,
                                             .networks = flag_text(inv, "networks", NULL),
                                             .secrets = {.fetch = on_secret, .self = t.secrets},
                                             .patient = flag_given(inv, "gdb")};
        class = workbench_open(&b, &settings, &st);
        if (class == STATUS_OK)
            class = work(inv, &t, &b, &st);
        workbench_close(&b);
    }
    if (class != STATUS_OK)
        place_put(&t, &st);
    texts_end(&t);
    free(files);
    return class == STATUS_OK ? EXIT_DONE : complain("the plugin was not run to its end", &st);
}
