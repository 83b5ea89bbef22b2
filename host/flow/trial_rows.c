#include "flow/trial_rows.h"

#include <string.h>

#include "base/clock.h"
#include "flow/decode.h"
#include "flow/reshape.h"
#include "schema/compile.h"

static const char some_time[] = "2026-01-01T00:00:00Z";

/* A map entry whose values are points in time, however they are written. */
static bool is_time(const json_t *entry)
{
    const char *from = json_string_value(json_is_object(entry) ? json_object_get(entry, "from") : entry);
    return json_object_get(entry, "time") || json_object_get(entry, "zone") ||
           (from && !strcmp(from, "$received"));
}

/* A store that has the columns of `map` and `set`, of any type, and takes everything else. */
static row_plan *any_rows(const json_t *decode)
{
    static const char *const sections[] = {"map", "set"};
    status st;
    json_t *columns = json_object(), *entry;
    const char *name;
    for (int i = 0; i < 2; i++)
        json_object_foreach(json_object_get(decode, sections[i]), name, entry)
        {
            json_object_set_new(columns, name, json_object());
        }
    json_t *document = json_pack("{s:s,s:o}", "type", "object", "properties", columns);
    schema *compiled = schema_compile(document, NULL, &st);
    row_plan *rows = compiled ? row_plan_make(compiled, &st) : NULL;
    if (compiled && !rows)
        schema_free(compiled);
    json_decref(document);
    return rows;
}

/* The times in a row as the store will have them. */
static void mark_times(json_t *row, const json_t *decode)
{
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(decode, "map"), name, entry)
    {
        if (is_time(entry) && json_object_get(row, name) && !json_is_null(json_object_get(row, name)))
            json_object_set_new(row, name, json_string(some_time));
    }
}

static void add_lines(json_t *rows, const text *lines, const json_t *decode)
{
    const char *at = text_or_empty(lines), *end;
    for (; (end = strchr(at, '\n')) && json_array_size(rows) < TRIAL_ROWS_LEARNT; at = end + 1) {
        json_t *row = json_loadb(at, (size_t)(end - at), 0, NULL);
        if (json_is_object(row)) {
            mark_times(row, decode);
            json_array_append(rows, row);
        }
        json_decref(row);
    }
}

static void add_payload(json_t *rows, reshaper *r, const reshape_plan *plan, const json_t *one,
                        const json_t *decode)
{
    const json_t *payload = json_object_get(one, "payload"), *meta = json_object_get(one, "meta");
    reshape_payload from = {.data = json_string_value(payload),
                            .len = json_string_length(payload),
                            .topic = json_string_value(meta),
                            .topic_len = json_string_length(meta),
                            .received_us = clock_wall_us()};
    reshape_fault fault;
    text lines = {0};
    if (from.data && reshape_payload_rows(r, plan, &from, &lines, &fault))
        add_lines(rows, &lines, decode);
    text_free(&lines);
}

json_t *trial_rows(const defined_connector *c, const json_t *payloads)
{
    decode_format format;
    status st;
    size_t i;
    json_t *one, *rows = NULL;
    if (!json_object_size(c->decode) || !c->format || !decode_format_parse(c->format, &format) ||
        (format != DECODE_JSON && format != DECODE_NDJSON))
        return NULL;
    row_plan *store = any_rows(c->decode);
    reshape_plan *plan = store ? reshape_plan_create(c->decode, store, &st) : NULL;
    reshaper *r = plan ? reshaper_create() : NULL;
    if (r)
        rows = json_array();
    json_array_foreach(rows ? payloads : NULL, i, one)
    {
        add_payload(rows, r, plan, one, c->decode);
    }
    reshaper_free(r);
    reshape_plan_free(plan);
    row_plan_free(store);
    if (rows && json_array_size(rows))
        return rows;
    json_decref(rows);
    return NULL;
}
