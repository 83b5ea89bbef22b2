/* An entry and its strings live in one arena; jansson keeps the schema. The last holder frees both. */
#include "plugin/entry.h"

#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "penstock/plugin.h"

typedef struct owned_entry {
    plugin_entry shown; /* first */
    atomic_uint holders;
    arena *memory;
    json_t *schema_document;
    schema *schema;
} owned_entry;

static owned_entry *owned(const plugin_entry *entry)
{
    return (owned_entry *)entry;
}

static owned_entry *entry_new(const char *file, const char *hash)
{
    arena *a = arena_create(0);
    owned_entry *o = arena_zero(a, 1, sizeof *o);
    o->memory = a;
    o->holders = 1;
    o->shown.file = arena_string(a, file);
    o->shown.hash = arena_string(a, hash);
    return o;
}

const plugin_entry *plugin_entry_hold(const plugin_entry *entry)
{
    atomic_fetch_add(&owned(entry)->holders, 1);
    return entry;
}

void plugin_entry_release(const plugin_entry *entry)
{
    if (!entry || atomic_fetch_sub(&owned(entry)->holders, 1) > 1)
        return;
    owned_entry *o = owned(entry);
    schema_free(o->schema);
    json_decref(o->schema_document);
    arena *memory = o->memory;
    arena_free(memory);
}

const plugin_entry *entry_make_broken(const char *file, const char *hash, const char *why)
{
    owned_entry *o = entry_new(file, hash);
    o->shown.broken = arena_string(o->memory, why);
    return &o->shown;
}

static plugin_kind kind_of(const char *word)
{
    static const char *const kinds[] = {
        [PLUGIN_CONNECTOR] = PST_KIND_CONNECTOR,
        [PLUGIN_NOTIFIER] = PST_KIND_NOTIFIER,
        [PLUGIN_METRIC] = PST_KIND_METRIC,
        [PLUGIN_MODEL] = PST_KIND_MODEL,
    };
    for (int k = PLUGIN_CONNECTOR; k <= PLUGIN_MODEL; k++)
        if (!strcmp(word, kinds[k]))
            return (plugin_kind)k;
    return 0;
}

static const char *text_at(owned_entry *o, const json_t *said, const char *key)
{
    return arena_string(o->memory, json_string_value(json_object_get(said, key)));
}

static void take_interfaces(owned_entry *o, const json_t *list)
{
    size_t n = json_array_size(list);
    const char **ids = arena_zero(o->memory, n + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(list, i));
        if (id)
            ids[o->shown.n_interfaces++] = arena_string(o->memory, id);
    }
    o->shown.interfaces = ids;
}

static void take_metrics(owned_entry *o, const json_t *list)
{
    size_t n = json_array_size(list);
    plugin_metric *metrics = arena_zero(o->memory, n + 1, sizeof *metrics);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        metrics[i] = (plugin_metric){.name = text_at(o, one, "name"),
                                     .unit = text_at(o, one, "unit"),
                                     .help = text_at(o, one, "help"),
                                     .kind = (int)json_integer_value(json_object_get(one, "kind"))};
    }
    o->shown.metrics = metrics;
    o->shown.n_metrics = n;
}

static status_class take_schema(owned_entry *o, const json_t *said, status *st)
{
    const char *source = json_string_value(json_object_get(said, "config_schema"));
    json_error_t wrong;
    o->schema_document = source ? json_loads(source, JSON_REJECT_DUPLICATES, &wrong) : NULL;
    if (!json_is_object(o->schema_document))
        return status_set(st, STATUS_INVALID, "its config schema is no JSON object%s%s", source ? ": " : "",
                          source ? wrong.text : "");
    o->schema = schema_compile(o->schema_document, NULL, st);
    if (!o->schema)
        return status_wrap(st, "its config schema does not compile");
    o->shown.config_schema = o->schema_document;
    return STATUS_OK;
}

status_class entry_make(const char *file, const char *path, const char *hash, const json_t *said,
                        const plugin_entry **entry_out, status *st)
{
    owned_entry *o = entry_new(file, hash);
    plugin_entry *e = &o->shown;
    e->path = arena_string(o->memory, path);
    e->id = text_at(o, said, "id");
    e->version = text_at(o, said, "version");
    e->title = text_at(o, said, "title");
    e->licence = text_at(o, said, "licence");
    const char *kind = json_string_value(json_object_get(said, "kind"));
    e->kind = kind ? kind_of(kind) : 0;
    take_interfaces(o, json_object_get(said, "interfaces"));
    take_metrics(o, json_object_get(said, "metrics"));
    status_class class = e->id && e->version && e->title && e->licence && e->kind
                             ? take_schema(o, said, st)
                             : status_set(st, STATUS_INVALID, "its description is incomplete");
    *entry_out = class == STATUS_OK ? e : NULL;
    if (class != STATUS_OK)
        plugin_entry_release(e);
    return class;
}

const schema *entry_schema(const plugin_entry *entry)
{
    return owned(entry)->schema;
}

bool plugin_entry_offers(const plugin_entry *entry, const char *interface_id)
{
    for (size_t i = 0; i < entry->n_interfaces; i++)
        if (!strcmp(entry->interfaces[i], interface_id))
            return true;
    return false;
}

bool plugin_entry_is_sink(const plugin_entry *e)
{
    return plugin_entry_offers(e, PST_IF_SINK);
}

const char *plugin_kind_name(plugin_kind kind)
{
    static const char *const names[] = {"", "connector", "notifier", "metric", "model"};
    return names[kind];
}
