#include "flow/reshape_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/name.h"

#define TOPIC "$topic"
#define META "$meta."
#define RECEIVED "$received"

static status_class at_column(status *st, const char *section, const char *column, const char *what)
{
    char where[100];
    snprintf(where, sizeof where, "/decode/%s/%.60s", section, column);
    return status_at(st, STATUS_INVALID, where, "column %.60s: %s", column, what);
}

/* ---- where a value comes from ---- */

/* `$topic` or `$topic[-1]`. */
static bool parse_topic(const char *s, reshape_entry *e)
{
    s += strlen(TOPIC);
    e->from = *s ? RESHAPE_SEGMENT : RESHAPE_TOPIC;
    if (!*s)
        return true;
    char *end;
    long n = *s == '[' ? strtol(s + 1, &end, 10) : 0;
    e->segment = (int32_t)n;
    return *s == '[' && end > s + 1 && strcmp(end, "]") == 0 && n > -10000 && n < 10000;
}

static status_class parse_from(reshape_plan *p, const char *column, const char *from, reshape_entry *e,
                               status *st)
{
    if (strncmp(from, TOPIC, strlen(TOPIC)) == 0)
        return parse_topic(from, e) ? STATUS_OK
                                    : at_column(st, "map", column, "it is $topic or a segment, $topic[1]");
    if (strncmp(from, META, strlen(META)) == 0) {
        e->from = RESHAPE_META;
        e->constant = arena_string(p->a, from + strlen(META));
        e->constant_len = (uint32_t)strlen(e->constant);
        return e->constant_len ? STATUS_OK : at_column(st, "map", column, "$meta. and the name of a fact");
    }
    if (strcmp(from, RECEIVED) == 0) {
        e->from = RESHAPE_RECEIVED;
        return STATUS_OK;
    }
    if (*from == '$' || *from == '.') {
        e->from = RESHAPE_PATH;
        if (json_path_parse(p->a, from, &e->path, st) != STATUS_OK)
            return status_wrap(st, "decode map, column %s", column);
        return STATUS_OK;
    }
    json_step step = {JSON_STEP_NAME, 0, arena_string(p->a, from), (uint32_t)strlen(from)};
    e->from = RESHAPE_MEMBER;
    e->path = (json_path){.n_steps = 1, .steps = arena_copy(p->a, &step, sizeof step)};
    return STATUS_OK;
}

static bool same_step(const json_step *a, const json_step *b)
{
    return a->kind == b->kind && a->index == b->index && a->name_len == b->name_len &&
           (!a->name || memcmp(a->name, b->name, a->name_len) == 0);
}

/* A path from the payload that leads through the row is one from the row. */
static void from_row(const reshape_plan *p, json_path *path)
{
    uint32_t n = p->has_path ? p->path.n_steps : 0;
    bool through = path->from_root && path->n_steps >= n && !(path->name_only && path->n_steps == n);
    for (uint32_t i = 0; i < n && through; i++)
        through = same_step(&path->steps[i], &p->path.steps[i]);
    if (!through || (n == 0 && path->n_steps > 0 && path->steps[0].kind == JSON_STEP_STAR))
        return;
    for (uint32_t i = n; i < path->n_steps; i++)
        if (path->steps[i].kind == JSON_STEP_STAR)
            return;
    path->from_root = false;
    path->steps += n;
    path->n_steps -= n;
}

/* Which member of the row an entry reads. */
static void note_use(reshape_plan *p, const reshape_entry *e)
{
    const json_path *path = &e->path;
    if ((e->from != RESHAPE_PATH && e->from != RESHAPE_MEMBER) || path->from_root)
        return;
    p->reads_row = p->reads_row || e->from == RESHAPE_PATH;
    p->whole_row = p->whole_row || path->n_steps == 0;
    if (path->n_steps > 0 && path->steps[0].kind == JSON_STEP_NAME)
        p->used[p->n_used++] = (reshape_name){path->steps[0].name, path->steps[0].name_len};
}

/* ---- entries ---- */

static reshape_entry *add_entry(reshape_plan *p, const char *section, const char *column, status *st)
{
    uint32_t hint = 0;
    text lead = {0};
    int32_t i = row_plan_find(p->rows, column, strlen(column), &hint);
    if (i < 0 || p->taken[i]) {
        at_column(st, section, column, i < 0 ? "the store does not have it" : "it stands under map too");
        return NULL;
    }
    p->taken[i] = true;
    text_add_json_string(&lead, column, strlen(column));
    text_add_char(&lead, ':');
    reshape_entry *e = &p->entries[p->n_entries++];
    *e = (reshape_entry){.lead = arena_string_n(p->a, lead.data, lead.len),
                         .lead_len = (uint32_t)lead.len,
                         .type = p->rows->columns[i].type};
    text_free(&lead);
    return e;
}

static status_class add_mapped(reshape_plan *p, const char *column, const json_t *v, status *st)
{
    const char *from =
        json_is_string(v) ? json_string_value(v) : json_string_value(json_object_get(v, "from"));
    const char *time = json_string_value(json_object_get(v, "time"));
    reshape_entry *e = add_entry(p, "map", column, st);
    if (!e)
        return st->class;
    status_class class = parse_from(p, column, from ? from : column, e, st);
    if (class != STATUS_OK)
        return class;
    e->convert = json_is_true(json_object_get(v, "convert"));
    e->unix_time = time && strncmp(time, "unix_", 5) == 0;
    if (e->from == RESHAPE_RECEIVED && (time || json_object_get(v, "zone")))
        return at_column(st, "map", column, "$received has neither time nor zone");
    if (e->from == RESHAPE_PATH)
        from_row(p, &e->path);
    if (e->path.n_stars > (p->has_path ? p->path.n_stars : 1))
        return at_column(st, "map", column, "its path has more [*] than `path`");
    note_use(p, e);
    return STATUS_OK;
}

static status_class add_constant(reshape_plan *p, const char *column, const json_t *v, status *st)
{
    reshape_entry *e = add_entry(p, "set", column, st);
    if (!e)
        return st->class;
    char *printed = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    e->from = RESHAPE_CONSTANT;
    e->constant = arena_string(p->a, printed);
    free(printed);
    return STATUS_OK;
}

static status_class read_path(reshape_plan *p, const json_t *v, status *st)
{
    const char *path = json_string_value(v);
    if (!v)
        return STATUS_OK;
    p->has_path = true;
    if (!path || *path != '$')
        return status_at(st, STATUS_INVALID, "/decode/path", "path begins with $, the payload");
    if (json_path_parse(p->a, path, &p->path, st) != STATUS_OK)
        return status_wrap(st, "decode");
    if (p->path.name_only)
        return status_at(st, STATUS_INVALID, "/decode/path", "path leads to rows, not to names");
    return STATUS_OK;
}

reshape_plan *reshape_plan_create(const json_t *decode, const row_plan *rows, status *st)
{
    arena *a = arena_create(0);
    reshape_plan *p = arena_zero(a, 1, sizeof *p);
    json_t *map = json_object_get(decode, "map"), *set = json_object_get(decode, "set"), *v;
    size_t n = json_object_size(map) + json_object_size(set);
    const char *column;
    *p = (reshape_plan){
        .a = a, .rows = rows, .keep_unmapped = json_is_true(json_object_get(decode, "keep_unmapped"))};
    p->taken = arena_zero(a, rows->n_columns + 1, sizeof *p->taken);
    p->entries = arena_zero(a, n + 1, sizeof *p->entries);
    p->used = arena_zero(a, n + 1, sizeof *p->used);
    status_class class = read_path(p, json_object_get(decode, "path"), st);
    json_object_foreach(map, column, v)
    {
        if (class == STATUS_OK)
            class = add_mapped(p, column, v, st);
    }
    json_object_foreach(set, column, v)
    {
        if (class == STATUS_OK)
            class = add_constant(p, column, v, st);
    }
    if (class == STATUS_OK)
        return p;
    arena_free(a);
    return NULL;
}

void reshape_plan_free(reshape_plan *p)
{
    if (p)
        arena_free(p->a);
}

bool reshape_plan_is_plain(const reshape_plan *p)
{
    bool plain = !p->has_path && !p->keep_unmapped;
    for (uint32_t i = 0; i < p->n_entries && plain; i++)
        plain = p->entries[i].from == RESHAPE_MEMBER && !p->entries[i].convert;
    return plain;
}
