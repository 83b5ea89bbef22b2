#include "flow/source_decode.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"

static const char *const decode_keys[] = {"separator",     "decimal_comma", "columns",
                                          "keep_unmapped", "map",           "shift_to_now"};
static const char *const map_keys[] = {"from", "scale", "offset", "time"};

static status_class unknown_key(const char *where, const char *key, const char *const *known, size_t n,
                                status *st)
{
    const char *near = name_suggest(key, known, n);
    status_at(st, STATUS_INVALID, where, "%.80s is not known here", key);
    if (near)
        status_hint(st, "did you mean %s?", near);
    return st->class;
}

static status_class check_keys(const json_t *object, const char *where, const char *const *known, size_t n,
                               status *st)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)object, key, v)
    {
        bool found = false;
        for (size_t i = 0; i < n; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            return unknown_key(where, key, known, n, st);
    }
    return STATUS_OK;
}

static status_class read_map_entry(const char *column_name, const json_t *v, decode_map *out, status *st)
{
    *out = (decode_map){.column = column_name};
    if (json_is_string(v)) {
        out->from = json_string_value(v);
        return STATUS_OK;
    }
    status_class class = check_keys(v, "/decode/map", map_keys, sizeof map_keys / sizeof *map_keys, st);
    const char *time = json_string_value(json_object_get(v, "time"));
    out->from = json_string_value(json_object_get(v, "from"));
    out->scale = json_number_value(json_object_get(v, "scale"));
    out->offset = json_number_value(json_object_get(v, "offset"));
    if (class == STATUS_OK && time && !decode_time_parse(time, &out->time))
        return status_at(st, STATUS_INVALID, "/decode/map", "column %s: %.40s is no way to write a time",
                         column_name, time);
    return class;
}

static status_class read_map(arena *a, const json_t *map, decode_options *out, status *st)
{
    const char *name;
    json_t *v;
    size_t n = json_object_size(map);
    decode_map *entries = arena_zero(a, n, sizeof *entries);
    out->map = entries;
    json_object_foreach((json_t *)map, name, v)
    {
        status_class class = read_map_entry(name, v, &entries[out->n_map++], st);
        if (class != STATUS_OK)
            return class;
    }
    return STATUS_OK;
}

static status_class read_separator(const json_t *v, char *out, status *st)
{
    const char *s = json_string_value(v);
    if (!v)
        return STATUS_OK;
    if (!s || (strlen(s) != 1 && strcmp(s, "\\t") != 0))
        return status_at(st, STATUS_INVALID, "/decode/separator", "the separator must be one character");
    *out = s[0] == '\\' ? '\t' : s[0];
    return STATUS_OK;
}

static void read_columns(arena *a, const json_t *list, decode_options *out)
{
    size_t n = json_array_size(list);
    const char **names = arena_zero(a, n, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = json_string_value(json_array_get(list, i));
    out->csv_columns = names;
    out->n_csv_columns = n;
}

static status_class read_options(arena *a, const defined_connector *c, decode_options *out, status *st)
{
    const json_t *d = c->decode;
    status_class class = check_keys(d, "/decode", decode_keys, sizeof decode_keys / sizeof *decode_keys, st);
    if (class == STATUS_OK)
        class = read_separator(json_object_get(d, "separator"), &out->separator, st);
    if (class == STATUS_OK)
        class = read_map(a, json_object_get(d, "map"), out, st);
    if (class == STATUS_OK && !decode_format_parse(c->format, &out->format))
        class = status_at(st, STATUS_INVALID, "/format", "%.40s is not a format that rows are read from",
                          c->format);
    out->decimal_comma = json_is_true(json_object_get(d, "decimal_comma"));
    out->keep_unmapped = json_is_true(json_object_get(d, "keep_unmapped"));
    read_columns(a, json_object_get(d, "columns"), out);
    return class;
}

static status_class make_plans(const defined_connector *c, const datastore_plan *store,
                               decode_options *options, source_decode *out, status *st)
{
    options->time_column = store->defined->time;
    options->past_us = store->defined->accept_past_us;
    options->future_us = store->defined->accept_future_us;
    out->format = options->format;
    out->plan = decode_plan_create(store->rows, options, st);
    if (!out->plan)
        return st->class;
    if (!json_is_true(json_object_get(c->decode, "shift_to_now")) || !options->time_column)
        return STATUS_OK;
    options->past_us = options->future_us = DECODE_ANY;
    out->probe = decode_plan_create(store->rows, options, st);
    return out->probe ? STATUS_OK : st->class;
}

status_class source_decode_make(const defined_connector *c, const datastore_plan *store, source_decode *out,
                                status *st)
{
    arena *a = arena_create(0);
    decode_options options = {0};
    *out = (source_decode){0};
    status_class class = read_options(a, c, &options, st);
    if (class == STATUS_OK)
        class = make_plans(c, store, &options, out, st);
    if (class != STATUS_OK)
        source_decode_free(out);
    arena_free(a);
    return class;
}

void source_decode_free(source_decode *d)
{
    decode_plan_free(d->plan);
    decode_plan_free(d->probe);
    *d = (source_decode){0};
}
