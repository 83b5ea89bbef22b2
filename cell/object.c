/* Loading runs the file's constructors, so the sandbox is in place before. LD_BIND_NOW is set by whoever
 * starts the cell: a missing symbol shows here and not in the middle of a call. */
#include "cell/object.h"

#include <dlfcn.h>
#include <jansson.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell/elf_exports.h"

enum { ID_MAX = 128, TEXT_MAX = 1024, SCHEMA_MAX = 1 << 20, METRICS_MAX = 256 };

static const char *const kinds[] = {PST_KIND_CONNECTOR, PST_KIND_NOTIFIER, PST_KIND_METRIC, PST_KIND_MODEL};
static const char *const interfaces[] = {PST_IF_SOURCE,   PST_IF_PUSH,  PST_IF_SINK,  PST_IF_COMMAND,
                                         PST_IF_DISCOVER, PST_IF_CHECK, PST_IF_SEND,  PST_IF_RECEIPT,
                                         PST_IF_METRIC,   PST_IF_TRAIN, PST_IF_INFER, PST_IF_EXPLAIN};

static bool text_fits(const char *s, size_t limit)
{
    return s && *s && strnlen(s, limit + 1) <= limit;
}

/* Reverse DNS: lower-case words of letters, digits and hyphens, at least two dots. */
static bool id_fits(const char *id)
{
    if (!text_fits(id, ID_MAX) || strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(id))
        return false;
    int dots = 0;
    for (const char *c = id; *c; c++) {
        if (*c == '.' && (c == id || c[1] == '.' || !c[1]))
            return false;
        dots += *c == '.';
    }
    return dots >= 2;
}

static bool kind_known(const char *kind)
{
    for (size_t i = 0; kind && i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strcmp(kind, kinds[i]))
            return true;
    return false;
}

static const char *metrics_wrong(const pst_plugin *p)
{
    if (p->n_metrics > METRICS_MAX || (p->n_metrics && !p->metrics))
        return "its metrics are missing or more than 256";
    for (size_t i = 0; i < p->n_metrics; i++) {
        const pst_metric *m = &p->metrics[i];
        if (!text_fits(m->name, ID_MAX) ||
            strspn(m->name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(m->name) || !m->unit ||
            !m->help || m->kind < PST_COUNTER || m->kind > PST_HISTOGRAM)
            return "a metric lacks its name, unit, help or kind";
    }
    return NULL;
}

static const char *description_wrong(const pst_plugin *p)
{
    if (!PST_HAS(p, pst_plugin, destroy))
        return "its description is shorter than the first version's";
    if (!id_fits(p->id))
        return "its id is not a reverse DNS name like org.example.connector.thing";
    if (!kind_known(p->kind))
        return "its kind is not known to this version";
    if (!text_fits(p->version, ID_MAX) || !text_fits(p->title, TEXT_MAX) || !text_fits(p->licence, ID_MAX))
        return "version, title or licence is missing or too long";
    if (!text_fits(p->config_schema, SCHEMA_MAX))
        return "its config schema is missing or larger than 1 MiB";
    if (!p->get_interface || !p->create || !p->destroy)
        return "get_interface, create or destroy is missing";
    return metrics_wrong(p);
}

/* libltdl says "file not found" for whatever dlopen refuses; the loader itself knows better. */
static void load_error(const char *path, char *why, size_t why_size)
{
    const char *bare = lt_dlerror();
    void *again = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const char *better = again ? NULL : dlerror();
    snprintf(why, why_size, "cannot be loaded: %s", better ? better : bare);
}

const pst_plugin *object_load(const char *path, char *why, size_t why_size)
{
    if (!elf_exports_only(path, "penstock_plugin_v1", why, why_size))
        return NULL;
    if (lt_dlinit() != 0) {
        snprintf(why, why_size, "the loader does not start: %s", lt_dlerror());
        return NULL;
    }
    lt_dlhandle handle = lt_dlopen(path);
    if (!handle) {
        load_error(path, why, why_size);
        return NULL;
    }
    const pst_plugin *plugin = lt_dlsym(handle, "penstock_plugin_v1");
    const char *wrong = plugin ? description_wrong(plugin) : "penstock_plugin_v1 is not there";
    if (wrong)
        snprintf(why, why_size, "%s", wrong);
    return wrong ? NULL : plugin;
}

static json_t *describe(const pst_plugin *p)
{
    json_t *offered = json_array(), *metrics = json_array();
    for (size_t i = 0; i < sizeof interfaces / sizeof interfaces[0]; i++)
        if (p->get_interface(interfaces[i]))
            json_array_append_new(offered, json_string(interfaces[i]));
    for (size_t i = 0; i < p->n_metrics; i++)
        json_array_append_new(metrics, json_pack("{s:s, s:s, s:s, s:i}", "name", p->metrics[i].name, "unit",
                                                 p->metrics[i].unit, "help", p->metrics[i].help, "kind",
                                                 p->metrics[i].kind));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:o, s:o}", "id", p->id, "kind", p->kind, "version",
                     p->version, "title", p->title, "licence", p->licence, "abi_minor", (int)p->abi_minor,
                     "config_schema", p->config_schema, "interfaces", offered, "metrics", metrics);
}

int object_probe(const char *path, int fd)
{
    char why[512] = "its description is not UTF-8";
    const pst_plugin *plugin = object_load(path, why, sizeof why);
    json_t *said = plugin ? describe(plugin) : NULL;
    if (!said)
        said = json_pack("{s:s%}", "error", why, strlen(why));
    if (!said)
        said = json_pack("{s:s}", "error", "cannot be used, and its reason is not UTF-8");
    int written = json_dumpfd(said, fd, JSON_COMPACT);
    json_decref(said);
    return written == 0 ? 0 : 1;
}
