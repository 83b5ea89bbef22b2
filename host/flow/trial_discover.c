/* Each stream of the plugin becomes a datastore: by its payloads as the connector's `decode` reads them, else
 * by the schema that it gives, else by what its examples look like. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "flow/trial_private.h"
#include "flow/trial_rows.h"
#include "schema/infer_text.h"

/* The same key twice: the later one gets a number. */
static void key_alone(const json_t *streams, char key[NAME_KEY_MAX + 1])
{
    char first[NAME_KEY_MAX + 1];
    memcpy(first, key, sizeof first);
    for (unsigned n = 2;; n++) {
        bool taken = false;
        size_t i;
        json_t *s;
        json_array_foreach(streams, i, s)
        {
            taken = taken || strcmp(json_string_value(json_object_get(s, "key")), key) == 0;
        }
        if (!taken)
            return;
        snprintf(key, NAME_KEY_MAX + 1, "%.*s_%u", (int)NAME_KEY_MAX - 5, first, n);
    }
}

/* Rows out of an example: a row, a list of rows, or a payload's text that is one of them. NULL: it is none of
 * them. */
static json_t *rows_of(const json_t *example)
{
    json_t *parsed = json_is_string(example) ? json_loads(json_string_value(example), JSON_DECODE_ANY, NULL)
                                             : json_incref((json_t *)example);
    json_t *rows = json_is_array(parsed) ? json_incref(parsed) : json_is_object(parsed) ? json_array() : NULL;
    if (json_is_object(parsed))
        json_array_append(rows, parsed);
    json_decref(parsed);
    return rows;
}

/* Lines of JSON, or CSV with its header. */
static status_class infer_lines(const char *key, const json_t *example, text *yaml, status *st)
{
    FILE *from = fmemopen((void *)json_string_value(example), json_string_length(example), "r");
    status_class class = from ? schema_infer_text(key, from, 0, yaml, st)
                              : status_set(st, STATUS_INTERNAL, "the example cannot be read");
    if (from)
        fclose(from);
    return class;
}

/* JSON is YAML. */
static void add_value(text *out, const char *before, const json_t *value)
{
    char *printed = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (printed)
        text_printf(out, "%s%s\n", before, printed);
    free(printed);
}

static void yaml_by_schema(const char *key, const json_t *stream, text *out)
{
    text_printf(out, "datastores:\n  %s:\n", key);
    add_value(out, "    schema: ", json_object_get(stream, "schema"));
    add_value(out, "    time: ", json_object_get(stream, "time"));
    add_value(out, "    entity: ", json_object_get(stream, "entity"));
    add_value(out, "    unique: ", json_object_get(stream, "unique"));
    if (!json_object_get(stream, "time"))
        text_add(out, "    # time: name the event time here\n");
}

/* What schema_infer writes begins with a comment and `datastores:`, which all streams have together. */
static const char *below_heading(const char *yaml)
{
    const char *heading = strstr(yaml, "datastores:\n");
    return heading ? heading + strlen("datastores:\n") : yaml;
}

static status_class propose(const trial *t, const char *key, const json_t *stream, text *yaml, status *st)
{
    json_t *decoded = trial_rows(t->parts->connector, json_object_get(stream, "payloads"));
    status_class class = STATUS_OK;
    text one = {0};
    const json_t *example = json_object_get(stream, "example");
    json_t *rows = decoded ? decoded : rows_of(example);
    if (!decoded && json_is_object(json_object_get(stream, "schema")))
        yaml_by_schema(key, stream, &one);
    else if (json_array_size(rows) > 0)
        class = schema_infer_rows(key, rows, &one, st);
    else if (!rows && json_string_length(example) > 0)
        class = infer_lines(key, example, &one, st);
    if (class == STATUS_OK && one.len)
        text_add(yaml, below_heading(one.data));
    else if (class != STATUS_OK || !one.len)
        text_printf(yaml, "  # %s: %s\n", key, class != STATUS_OK ? st->text : "no example and no schema");
    json_decref(rows);
    text_free(&one);
    return class;
}

/* The store that the connector names for the stream; NULL: none, or one for several. */
static const char *named_store(const trial *t, const char *stream, bool only)
{
    const defined_connector *c = t->parts->connector;
    for (uint32_t i = 0; i < c->n_into; i++)
        if (c->into[i].stream ? stream && !strcmp(c->into[i].stream, stream) : only)
            return c->into[i].store.key;
    return NULL;
}

static void add_stream(const trial *t, const json_t *stream, bool only, json_t *streams, text *yaml)
{
    char key[NAME_KEY_MAX + 1];
    status st;
    const char *name = json_string_value(json_object_get(stream, "stream"));
    const char *title = json_string_value(json_object_get(stream, "title"));
    const char *guess = json_string_value(json_object_get(stream, "key")),
               *named = named_store(t, name, only);
    const char *from = named ? named : guess ? guess : name ? name : title ? title : "";
    name_key_from(from, strlen(from), "stream", key);
    key_alone(streams, key);
    propose(t, key, stream, yaml, &st);
    json_t *example = json_object_get(stream, "example");
    char *printed = example ? json_dumps(example, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_array_append_new(streams,
                          json_pack("{s:s?,s:s?,s:s,s:O?,s:o}", "stream", name, "title", title, "key", key,
                                    "schema", json_object_get(stream, "schema"), "example",
                                    printed ? trial_text(t, printed, strlen(printed)) : json_null()));
    free(printed);
}

/* `into` as it would stand beside the connector. */
static void add_into(const json_t *streams, text *yaml)
{
    size_t i;
    json_t *s;
    text_add(yaml, "# into:\n");
    json_array_foreach(streams, i, s)
    {
        const char *name = json_string_value(json_object_get(s, "stream"));
        text quoted = {0};
        text_add_json_string(&quoted, name ? name : "", name ? strlen(name) : 0);
        text_printf(yaml, "#   %s: \"datastore:%s\"\n", quoted.data,
                    json_string_value(json_object_get(s, "key")));
        text_free(&quoted);
    }
}

/* Settings of the connector that go with a stream, where the plugin knows some. */
static void add_config(const json_t *found, text *yaml)
{
    size_t i;
    json_t *s;
    bool any = false;
    json_array_foreach(found, i, s)
    {
        const json_t *config = json_object_get(s, "config");
        if (i >= TRIAL_STREAMS_MAX || !json_is_object(config))
            continue;
        text_add(yaml, any ? "" : "# config, one connector each:\n");
        add_value(yaml, "#   ", config);
        any = true;
    }
}

status_class trial_discover(const trial_parts *parts, json_t **out, status *st)
{
    trial t;
    instance_call call = {0};
    json_t *found = NULL, *stream, *streams = json_array();
    text yaml = {0};
    size_t i;
    status_class class = trial_begin(&t, parts, st);
    if (class == STATUS_OK)
        class = instance_start(t.plugin, &call, st);
    if (class == STATUS_OK)
        class = instance_discover(t.plugin, &call, &found, st);
    if (class == STATUS_OK) {
        text_add(&yaml, "# Guessed from what the source shows; read it before you use it.\ndatastores:\n");
        json_array_foreach(found, i, stream)
        {
            if (i < TRIAL_STREAMS_MAX)
                add_stream(&t, stream, json_array_size(found) == 1, streams, &yaml);
        }
        add_into(streams, &yaml);
        add_config(found, &yaml);
        *out =
            json_pack("{s:O,s:b,s:o}", "streams", streams, "more", json_array_size(found) > TRIAL_STREAMS_MAX,
                      "yaml", json_stringn(yaml.data, yaml.len));
    } else {
        trial_redact(&t, st);
    }
    json_decref(found);
    json_decref(streams);
    text_free(&yaml);
    trial_end(&t);
    return class;
}
