/* A plugin's config as its cell gets it: the author's values, the schema's defaults where there are none,
 * then checked. Defaults are taken along `properties`, `items` and local `$ref`, the ways that a config
 * schema is written. */
#include <string.h>

#include "plugin/entry.h"
#include "schema/validate.h"

enum { NESTING_MAX = 32 };

/* Follows a `$ref` to a place in the same document; the schema itself if there is none. */
static const json_t *resolve(const json_t *root, const json_t *schema)
{
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    static const char definitions[] = "#/$defs/";
    if (!reference || strncmp(reference, definitions, sizeof definitions - 1) != 0)
        return schema;
    const json_t *there = json_object_get(json_object_get(root, "$defs"), reference + sizeof definitions - 1);
    return there ? there : schema;
}

static void fill(const json_t *root, const json_t *schema, json_t *value, int depth);

static void fill_object(const json_t *root, const json_t *properties, json_t *value, int depth)
{
    const char *key;
    json_t *property;
    json_object_foreach((json_t *)properties, key, property)
    {
        const json_t *target = resolve(root, property);
        const json_t *fallback = json_object_get(property, "default");
        if (!fallback)
            fallback = json_object_get(target, "default");
        if (!json_object_get(value, key) && fallback)
            json_object_set_new(value, key, json_deep_copy(fallback));
        fill(root, target, json_object_get(value, key), depth + 1);
    }
}

static void fill(const json_t *root, const json_t *schema, json_t *value, int depth)
{
    if (depth > NESTING_MAX)
        return;
    if (json_is_object(value))
        fill_object(root, json_object_get(schema, "properties"), value, depth);
    const json_t *items = resolve(root, json_object_get(schema, "items"));
    for (size_t i = 0; json_is_object(items) && i < json_array_size(value); i++)
        fill(root, items, json_array_get(value, i), depth + 1);
}

status_class plugin_config_complete(const plugin_entry *entry, const json_t *config, json_t **config_out,
                                    status *st)
{
    json_t *complete = config ? json_deep_copy(config) : json_object();
    fill(entry->config_schema, entry->config_schema, complete, 0);
    status_class class = schema_validate(entry_schema(entry), complete, NULL, st);
    *config_out = class == STATUS_OK ? complete : NULL;
    if (class != STATUS_OK)
        json_decref(complete);
    return class;
}
