#include "flow/source_decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "flow/local_time.h"

static const char *const decode_keys[] = {"separator", "decimal_comma", "columns", "keep_unmapped",
                                          "map",       "shift_to_now",  "path",    "set"};
static const char *const map_keys[] = {"from", "scale", "offset", "time", "zone", "convert"};

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

static status_class bad_map(status *st, const char *name, const char *what, const char *word)
{
    char where[100];
    snprintf(where, sizeof where, "/decode/map/%.60s", name);
    return status_at(st, STATUS_INVALID, where, "column %.60s: %s%.100s", name, what, word);
}

static status_class read_time(const char *name, const json_t *v, decode_map *out, status *st)
{
    const char *time = json_string_value(json_object_get(v, "time"));
    const char *clock = json_string_value(json_object_get(v, "zone"));
    if (time && strchr(time, '%')) {
        if (local_time_check(time, st) != STATUS_OK)
            return bad_map(st, name, "", st->text);
        out->pattern = time;
    } else if (time && !decode_time_parse(time, &out->time)) {
        return bad_map(st, name, "no way to write a time: ", time);
    }
    if (clock && out->time >= DECODE_TIME_UNIX_S)
        return bad_map(st, name, "a number of seconds has no zone", "");
    if (clock && zone_find(clock, &out->zone, st) != STATUS_OK)
        return bad_map(st, name, "", st->text);
    return STATUS_OK;
}

/* Where the value comes from is the reshape plan's matter, if there is one. */
static status_class read_map_entry(const char *name, const json_t *v, bool shaped, decode_map *out,
                                   status *st)
{
    *out = (decode_map){.column = name};
    if (json_is_string(v)) {
        out->from = shaped ? NULL : json_string_value(v);
        return STATUS_OK;
    }
    if (!json_is_object(v))
        return bad_map(st, name, "a text or an object was expected", "");
    status_class class = check_keys(v, "/decode/map", map_keys, sizeof map_keys / sizeof *map_keys, st);
    out->from = shaped ? NULL : json_string_value(json_object_get(v, "from"));
    out->scale = json_number_value(json_object_get(v, "scale"));
    out->offset = json_number_value(json_object_get(v, "offset"));
    if (class == STATUS_OK && !shaped && json_object_get(v, "convert"))
        return bad_map(st, name, "convert is for json and ndjson", "");
    return class == STATUS_OK ? read_time(name, v, out, st) : class;
}

static status_class read_map(arena *a, const json_t *map, bool shaped, decode_options *out, status *st)
{
    const char *name;
    json_t *v;
    size_t n = json_object_size(map);
    decode_map *entries = arena_zero(a, n, sizeof *entries);
    out->map = entries;
    json_object_foreach((json_t *)map, name, v)
    {
        status_class class = read_map_entry(name, v, shaped, &entries[out->n_map++], st);
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

/* The connector's `decode`; where it feeds several stores, only the columns that this one has. A new
 * reference. */
static json_t *decode_for(const defined_connector *c, const datastore_plan *store)
{
    static const char *const sections[] = {"map", "set"};
    json_t *d = json_deep_copy(c->decode), *v;
    const char *name;
    void *next;
    for (int i = 0; i < 2 && c->n_into > 1; i++) {
        json_t *section = json_object_get(d, sections[i]);
        json_object_foreach_safe(section, next, name, v)
        {
            uint32_t hint = 0;
            if (row_plan_find(store->rows, name, strlen(name), &hint) < 0)
                json_object_del(section, name);
        }
    }
    return d;
}

static status_class read_options(arena *a, const json_t *d, bool shaped, decode_options *out, status *st)
{
    status_class class = check_keys(d, "/decode", decode_keys, sizeof decode_keys / sizeof *decode_keys, st);
    if (class == STATUS_OK)
        class = read_separator(json_object_get(d, "separator"), &out->separator, st);
    if (class == STATUS_OK)
        class = read_map(a, json_object_get(d, "map"), shaped, out, st);
    out->decimal_comma = json_is_true(json_object_get(d, "decimal_comma"));
    out->keep_unmapped = json_is_true(json_object_get(d, "keep_unmapped"));
    read_columns(a, json_object_get(d, "columns"), out);
    return class;
}

/* The formats that are JSON are reshaped, unless lines are read as they stand. */
static status_class make_shape(const defined_connector *c, const json_t *decode, const datastore_plan *store,
                               source_decode *out, status *st)
{
    if (!decode_format_parse(c->format, &out->format))
        return status_at(st, STATUS_INVALID, "/format", "%.40s is not a format that rows are read from",
                         c->format);
    bool json = out->format == DECODE_JSON || out->format == DECODE_NDJSON;
    if (!json && (json_object_get(decode, "path") || json_object_get(decode, "set")))
        return status_at(st, STATUS_INVALID, "/decode", "path and set are for json and ndjson");
    if (!json)
        return STATUS_OK;
    out->shape = reshape_plan_create(decode, store->rows, st);
    if (out->shape && out->format == DECODE_NDJSON && reshape_plan_is_plain(out->shape)) {
        reshape_plan_free(out->shape);
        out->shape = NULL;
        return STATUS_OK;
    }
    return out->shape ? STATUS_OK : st->class;
}

static status_class make_plans(const defined_connector *c, const datastore_plan *store,
                               decode_options *options, source_decode *out, status *st)
{
    options->format = out->format;
    options->time_column = store->defined->time;
    options->past_us = store->defined->accept_past_us;
    options->future_us = store->defined->accept_future_us;
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
    json_t *decode = decode_for(c, store);
    *out = (source_decode){0};
    status_class class = make_shape(c, decode, store, out, st);
    if (class == STATUS_OK)
        class = read_options(a, decode, out->shape != NULL, &options, st);
    if (class == STATUS_OK)
        class = make_plans(c, store, &options, out, st);
    if (class != STATUS_OK)
        source_decode_free(out);
    json_decref(decode);
    arena_free(a);
    return class;
}

void source_decode_free(source_decode *d)
{
    decode_plan_free(d->plan);
    decode_plan_free(d->probe);
    reshape_plan_free(d->shape);
    *d = (source_decode){0};
}

status_class source_decoders_make(const defined_connector *c, const flow_plan *plan, source_decode **out,
                                  status *st)
{
    if (!c->format)
        return STATUS_OK;
    source_decode *all = memory_zero(c->n_into, sizeof *all);
    for (uint32_t i = 0; i < c->n_into; i++) {
        const datastore_plan *store = flow_plan_datastore(plan, c->into[i].store.key);
        status_class class = source_decode_make(c, store, &all[i], st);
        if (class != STATUS_OK) {
            source_decoders_free(all, c);
            return class;
        }
    }
    *out = all;
    return STATUS_OK;
}

void source_decoders_free(source_decode *all, const defined_connector *c)
{
    for (uint32_t i = 0; all && i < c->n_into; i++)
        source_decode_free(&all[i]);
    free(all);
}

int source_target(const defined_connector *c, const char *stream)
{
    for (uint32_t i = 0; i < c->n_into; i++)
        if (!c->into[i].stream || strcmp(c->into[i].stream, stream) == 0)
            return (int)i;
    return -1;
}

/* ---- payloads ---- */

typedef struct cell {
    const char *data;
    size_t len;
} cell;

/* The bytes of a row's text; data NULL = there is none. */
static cell cell_of(const instance_batch *b, int at, uint32_t row)
{
    const column *c = at < 0 ? NULL : &b->rows.columns[at];
    if (!c || column_is_null(c, row))
        return (cell){NULL, 0};
    return (cell){c->data + c->offsets[row], (size_t)(c->offsets[row + 1] - c->offsets[row])};
}

/* As lines; a CSV header (`_meta`) goes in front. */
static void join_payloads(const source_decode *d, const instance_batch *b, text *bytes)
{
    int payload = instance_batch_column(b, "_payload"), meta = instance_batch_column(b, "_meta");
    for (uint32_t row = 0; row < b->rows.n_rows; row++) {
        cell c = cell_of(b, payload, row), header = cell_of(b, meta, 0);
        if (row == 0 && header.data && d->format == DECODE_CSV) {
            text_add_n(bytes, header.data, header.len);
            text_add_char(bytes, '\n');
        }
        text_add_n(bytes, c.data, c.len);
        if (bytes->len && bytes->data[bytes->len - 1] != '\n')
            text_add_char(bytes, '\n');
    }
}

static void refuse_payload(source_body *out, arena *a, uint32_t row, const reshape_payload *p,
                           const reshape_fault *fault)
{
    if (out->n_refused % 64 == 0) {
        rejected_row *more = arena_zero(a, out->n_refused + 64, sizeof *more);
        if (out->n_refused)
            memcpy(more, out->refused, out->n_refused * sizeof *more);
        out->refused = more;
    }
    out->refused[out->n_refused++] = (rejected_row){.row = row,
                                                    .code = fault->code,
                                                    .pointer = fault->pointer,
                                                    .detail = arena_string(a, fault->detail),
                                                    .bytes = p->data,
                                                    .len = p->len};
}

/* One JSON text, or one a line. */
static void shape_payload(const source_decode *d, reshaper *r, uint32_t row, reshape_payload p, arena *a,
                          source_body *out)
{
    const char *end = p.data + p.len;
    reshape_fault fault;
    while (p.data < end) {
        const char *line = d->format == DECODE_NDJSON ? memchr(p.data, '\n', (size_t)(end - p.data)) : NULL;
        p.len = (size_t)((line ? line : end) - p.data);
        if (!reshape_payload_rows(r, d->shape, &p, &out->bytes, &fault))
            refuse_payload(out, a, row, &p, &fault);
        p.data += p.len + (line != NULL);
    }
}

static void shape_payloads(const source_decode *d, const instance_batch *b, int64_t now_us, arena *a,
                           source_body *out)
{
    int payload = instance_batch_column(b, "_payload"), meta = instance_batch_column(b, "_meta");
    reshaper *r = reshaper_create();
    for (uint32_t row = 0; row < b->rows.n_rows; row++) {
        cell c = cell_of(b, payload, row), topic = cell_of(b, meta, row);
        reshape_payload p = {c.data, c.len, topic.data, topic.len, now_us};
        shape_payload(d, r, row, p, a, out);
    }
    reshaper_free(r);
}

void source_decode_batch(const source_decode *d, const instance_batch *b, int64_t now_us, arena *a,
                         source_body *out)
{
    *out = (source_body){.format = d->shape ? DECODE_NDJSON : d->format};
    if (d->shape)
        shape_payloads(d, b, now_us, a, out);
    else
        join_payloads(d, b, &out->bytes);
}

void source_body_free(source_body *b)
{
    text_free(&b->bytes);
    *b = (source_body){0};
}

const rejected_row *source_refused(const instance_batch *b, const source_body *body,
                                   const source_poison *poison, arena *a, uint32_t *n_out)
{
    rejected_row *out = arena_zero(a, b->n_rejects + body->n_refused + 1, sizeof *out);
    for (size_t i = 0; i < b->n_rejects; i++)
        out[i] = (rejected_row){.row = i,
                                .code = poison ? "poison" : "source",
                                .pointer = b->rejects[i].where,
                                .detail = poison ? poison->detail : b->rejects[i].reason,
                                .bytes = b->rejects[i].payload,
                                .len = b->rejects[i].payload_len,
                                .attempts = poison ? poison->attempts : 0,
                                .signal = poison ? poison->cause : NULL};
    if (body->n_refused)
        memcpy(out + b->n_rejects, body->refused, body->n_refused * sizeof *out);
    *n_out = (uint32_t)(b->n_rejects + body->n_refused);
    return out;
}
