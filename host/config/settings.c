/* Sources are applied from the weakest to the strongest; each value is parsed where it is set, so that the
 * error names the flag, the variable or the place in the file that is wrong. */
#include "config/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/disk.h"
#include "base/name.h"
#include "base/utc.h"
#include "config/grant.h"
#include "config/yaml_tree.h"

#define LIST_MAX 200

typedef struct entry {
    const char *text; /* NULL = unset */
    int64_t number;
    const char **items;
    size_t n;
    grant_list *grants;
    const char *origin;
} entry;

struct settings {
    arena *arena;
    entry *entries; /* as settings_table */
};

/* ---- parsing ---- */

static bool parse_integer(const char *s, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(s, &end, 10);
    return errno == 0 && end != s && *end == '\0';
}

static bool parse_bytes(const char *s, int64_t *ret)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    char *end;
    errno = 0;
    int64_t n = strtoll(s, &end, 10);
    if (errno != 0 || end == s || n < 0)
        return false;
    end += strspn(end, " ");
    for (int i = 0; i < 5; i++)
        if (strcmp(end, units[i]) == 0 && n <= (INT64_MAX >> (10 * i))) {
            *ret = n << (10 * i);
            return true;
        }
    return false;
}

static bool parse_boolean(const char *s, int64_t *ret)
{
    *ret = strcmp(s, "true") == 0;
    return *ret || strcmp(s, "false") == 0;
}

static bool is_word_of(const char *choices, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = choices; at && len; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
        if (strncmp(at, word, len) == 0 && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static bool parse_list(settings *s, entry *e)
{
    char *rest = arena_string(s->arena, e->text), *item;
    e->items = arena_zero(s->arena, LIST_MAX, sizeof *e->items);
    e->n = 0;
    while ((item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        for (size_t len = strlen(item); len && item[len - 1] == ' ';)
            item[--len] = '\0';
        if (*item && e->n == LIST_MAX)
            return false;
        if (*item)
            e->items[e->n++] = item;
    }
    return true;
}

static const char *kind_sentence(setting_kind kind)
{
    static const char *const sentences[] = {
        [SETTING_TEXT] = "a text",
        [SETTING_INTEGER] = "a whole number",
        [SETTING_BYTES] = "a size such as 16MiB",
        [SETTING_DURATION] = "a duration such as 30s",
        [SETTING_BOOLEAN] = "true or false",
        [SETTING_LIST] = "a list of at most 200 items",
    };
    return sentences[kind];
}

static bool parse_kind(settings *s, setting_kind kind, entry *e)
{
    switch (kind) {
    case SETTING_INTEGER:
        return parse_integer(e->text, &e->number);
    case SETTING_BYTES:
        return parse_bytes(e->text, &e->number);
    case SETTING_DURATION:
        return duration_parse(e->text, strlen(e->text), &e->number);
    case SETTING_BOOLEAN:
        return parse_boolean(e->text, &e->number);
    case SETTING_LIST:
        return parse_list(s, e);
    default:
        return true;
    }
}

static bool fits_choices(const setting_key *key, const entry *e)
{
    bool fits = true;
    if (!key->choices)
        return true;
    if (key->kind != SETTING_LIST)
        return is_word_of(key->choices, e->text);
    for (size_t i = 0; i < e->n; i++)
        fits = fits && is_word_of(key->choices, e->items[i]);
    return fits;
}

static bool is_grant(const setting_key *key)
{
    return key->kind == SETTING_FOLDERS || key->kind == SETTING_NETWORKS || key->kind == SETTING_PROGRAMS;
}

/* Takes grants for key number i: `v` from a file, or `value` as text. */
static status_class set_grants(settings *s, size_t i, const yaml_tree *t, const char *pointer,
                               const json_t *v, const char *value, const char *origin, status *st)
{
    grant_kind kind = settings_table[i].kind == SETTING_FOLDERS    ? GRANT_FOLDERS
                      : settings_table[i].kind == SETTING_PROGRAMS ? GRANT_PROGRAMS
                                                                   : GRANT_NETWORKS;
    entry e = {.origin = arena_string(s->arena, origin)};
    status_class class = v ? grant_list_read(s->arena, kind, t, pointer, v, &e.grants, st)
                           : grant_list_parse(s->arena, kind, value, origin, &e.grants, st);
    if (class == STATUS_OK) {
        e.text = grant_list_text(s->arena, e.grants);
        s->entries[i] = e;
    }
    return class;
}

/* Takes `value` for key number i. */
static status_class set(settings *s, size_t i, const char *value, const char *origin, status *st)
{
    const setting_key *key = &settings_table[i];
    if (is_grant(key))
        return set_grants(s, i, NULL, NULL, NULL, value, origin, st);
    entry e = {.text = arena_string(s->arena, value), .origin = arena_string(s->arena, origin)};
    if (!parse_kind(s, key->kind, &e))
        return status_at(st, STATUS_INVALID, origin, "the setting %s cannot be used: it must be %s",
                         key->name, kind_sentence(key->kind));
    if (!fits_choices(key, &e)) {
        status_at(st, STATUS_INVALID, origin, "the setting %s cannot be used: \"%.80s\" is not offered",
                  key->name, value);
        return status_hint(st, "one of: %s", key->choices);
    }
    if ((key->least || key->most) && (e.number < key->least || e.number > key->most))
        return status_at(st, STATUS_INVALID, origin, "the setting %s cannot be used: it must be %lld to %lld",
                         key->name, (long long)key->least, (long long)key->most);
    s->entries[i] = e;
    return STATUS_OK;
}

/* ---- names ---- */

/* Dots, hyphens and underscores are the same, and so is case. */
static bool same_name(const char *key, const char *given)
{
    for (; *key && *given; key++, given++) {
        char a = *key == '.' ? '_' : *key;
        char b = *given == '.' || *given == '-' ? '_' : (char)tolower((unsigned char)*given);
        if (a != b)
            return false;
    }
    return *key == *given;
}

static size_t find_name(const char *given)
{
    size_t i = 0;
    while (i < settings_table_n && !same_name(settings_table[i].name, given))
        i++;
    return i;
}

static const char *suggest(const char *given)
{
    const char *names[64];
    size_t n = 0;
    for (; n < settings_table_n && n < sizeof names / sizeof *names; n++)
        names[n] = settings_table[n].name;
    return name_suggest(given, names, n);
}

static status_class fail_unknown(const char *where, const char *given, status *st)
{
    const char *near = suggest(given);
    status_class class = status_at(st, STATUS_INVALID, where, "there is no setting \"%.80s\"", given);
    if (near)
        status_hint(st, "did you mean %s?", near);
    return class;
}

/* ---- sources ---- */

static status_class take_defaults(settings *s, status *st)
{
    status_class class = STATUS_OK;
    for (size_t i = 0; i < settings_table_n && class == STATUS_OK; i++) {
        s->entries[i].origin = "default";
        if (settings_table[i].value)
            class = set(s, i, settings_table[i].value, "default", st);
    }
    return class;
}

/* A value as text, lists joined by commas; NULL for a mapping. */
static char *text_of(settings *s, const json_t *v)
{
    if (json_is_string(v))
        return arena_string(s->arena, json_string_value(v));
    if (json_is_object(v))
        return NULL;
    text joined = {0};
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            const char *item = json_string_value(json_array_get(v, i));
            text_printf(&joined, "%s%s", i ? "," : "", item ? item : "");
        }
    } else {
        char *dumped = json_dumps(v, JSON_ENCODE_ANY);
        text_add(&joined, dumped);
        free(dumped);
    }
    char *own = arena_string(s->arena, text_or_empty(&joined));
    text_free(&joined);
    return own;
}

static bool is_group(const char *prefix)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < settings_table_n; i++)
        if (strncmp(settings_table[i].name, prefix, len) == 0 && settings_table[i].name[len] == '.')
            return true;
    return false;
}

static status_class take_mapping(settings *s, const yaml_tree *t, const json_t *object, const char *prefix,
                                 status *st)
{
    const char *key;
    json_t *v;
    status_class class = STATUS_OK;
    json_object_foreach((json_t *)object, key, v)
    {
        char where[128];
        const char *name = *prefix ? arena_printf(s->arena, "%s.%s", prefix, key) : key;
        char *pointer = arena_printf(s->arena, "/%s", name);
        for (char *p = pointer; (p = strchr(p, '.'));)
            *p = '/';
        size_t i = 0;
        while (i < settings_table_n && strcmp(settings_table[i].name, name) != 0)
            i++;
        bool known = i < settings_table_n;
        yaml_tree_where(t, pointer, !known, where, sizeof where);
        bool grants = known && is_grant(&settings_table[i]);
        char *value = known && !grants ? text_of(s, v) : NULL;
        if (json_is_null(v) && (known || is_group(name)))
            continue;
        if (grants)
            class = set_grants(s, i, t, pointer, v, NULL, where, st);
        else if (value)
            class = set(s, i, value, where, st);
        else if (json_is_object(v) && is_group(name))
            class = take_mapping(s, t, v, name, st);
        else
            class = fail_unknown(where, name, st);
        if (class != STATUS_OK)
            return class;
    }
    return class;
}

static status_class take_file(settings *s, const char *path, status *st)
{
    yaml_tree *t = NULL;
    status_class class = yaml_tree_read(path, &t, st);
    if (class != STATUS_OK)
        return class;
    if (json_is_object(yaml_tree_root(t)))
        class = take_mapping(s, t, yaml_tree_root(t), "", st);
    else if (!json_is_null(yaml_tree_root(t)))
        class = status_at(st, STATUS_INVALID, path, "the configuration cannot be read: it is not a mapping");
    yaml_tree_free(t);
    return class;
}

/* The file, and then conf.d beside it. */
static status_class take_files(settings *s, const char *path, bool must_exist, status *st)
{
    if (!path || (!must_exist && !disk_exists(path)))
        return STATUS_OK;
    status_class class = take_file(s, path, st);
    const char *slash = strrchr(path, '/');
    char *folder = slash ? arena_printf(s->arena, "%.*s/conf.d", (int)(slash - path), path) : NULL;
    return class == STATUS_OK && folder && disk_exists(folder) ? take_file(s, folder, st) : class;
}

/* Variables of the command line and the tests begin with PENSTOCK_ too, so only what looks mistyped is
 * refused. */
static status_class take_variable(settings *s, const char *variable, status *st)
{
    const char *equals = strchr(variable, '=');
    if (!equals || strncmp(variable, "PENSTOCK_", 9) != 0)
        return STATUS_OK;
    char *name = arena_string_n(s->arena, variable, (size_t)(equals - variable));
    size_t i = find_name(name + 9);
    if (i < settings_table_n)
        return set(s, i, equals + 1, name, st);
    for (char *p = name + 9; *p; p++)
        *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
    const char *near = suggest(name + 9);
    return near && strlen(near) > 5 ? fail_unknown("environment", name + 9, st) : STATUS_OK;
}

static status_class take_flag(settings *s, const settings_source *source, int *at, status *st)
{
    const char *flag = source->argv[*at], *equals = strchr(flag, '=');
    if (strncmp(flag, "--", 2) != 0)
        return status_at(st, STATUS_INVALID, flag, "the command line cannot be read: flags begin with --");
    char *name =
        equals ? arena_string_n(s->arena, flag, (size_t)(equals - flag)) : arena_string(s->arena, flag);
    const char *value = equals ? equals + 1 : NULL;
    size_t i = find_name(name + 2);
    bool is_file = strcmp(name, "--config") == 0;
    if (i == settings_table_n && !is_file)
        return fail_unknown(name, name + 2, st);
    if (!value && *at + 1 < source->argc)
        value = source->argv[++*at];
    if (!value)
        return status_at(st, STATUS_INVALID, name, "the flag %s needs a value", name);
    return is_file ? STATUS_OK : set(s, i, value, name, st);
}

static const char *named_file(const settings_source *source)
{
    const char *found = NULL;
    for (const char *const *v = source->environment; v && *v; v++)
        if (strncmp(*v, "PENSTOCK_CONFIG=", 16) == 0 && (*v)[16])
            found = *v + 16;
    for (int i = 0; i < source->argc; i++)
        if (strncmp(source->argv[i], "--config=", 9) == 0)
            found = source->argv[i] + 9;
        else if (strcmp(source->argv[i], "--config") == 0 && i + 1 < source->argc)
            found = source->argv[i + 1];
    return found;
}

status_class settings_load(const settings_source *source, settings **ret_settings, status *st)
{
    settings *s = memory_zero(1, sizeof *s);
    s->arena = arena_create(0);
    s->entries = arena_zero(s->arena, settings_table_n, sizeof *s->entries);
    const char *file = named_file(source);
    status_class class = take_defaults(s, st);
    if (class == STATUS_OK)
        class = take_files(s, file ? file : source->file, file != NULL, st);
    for (const char *const *v = source->environment; v && *v && class == STATUS_OK; v++)
        class = take_variable(s, *v, st);
    for (int i = 0; i < source->argc && class == STATUS_OK; i++)
        class = take_flag(s, source, &i, st);
    if (class != STATUS_OK) {
        settings_free(s);
        return class;
    }
    *ret_settings = s;
    return STATUS_OK;
}

void settings_free(settings *s)
{
    if (!s)
        return;
    arena_free(s->arena);
    free(s);
}

/* ---- reading ---- */

static const entry *entry_of(const settings *s, const char *name)
{
    size_t i = 0;
    while (i < settings_table_n && strcmp(settings_table[i].name, name) != 0)
        i++;
    if (i == settings_table_n) {
        fprintf(stderr, "penstock: there is no setting %s\n", name);
        abort();
    }
    return &s->entries[i];
}

const char *settings_text(const settings *s, const char *name)
{
    const char *t = entry_of(s, name)->text;
    return t && *t ? t : NULL;
}

int64_t settings_integer(const settings *s, const char *name)
{
    return entry_of(s, name)->number;
}

size_t settings_list(const settings *s, const char *name, const char *const **ret_items)
{
    const entry *e = entry_of(s, name);
    *ret_items = e->items;
    return e->n;
}

const grant_list *settings_grants(const settings *s, const char *name)
{
    return entry_of(s, name)->grants;
}

const char *settings_origin(const settings *s, const char *name)
{
    return entry_of(s, name)->origin;
}

void settings_describe(const settings *s, text *out)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const entry *e = &s->entries[i];
        text_printf(out, "%s = %s  (%s)\n", settings_table[i].name, e->text ? e->text : "", e->origin);
    }
}

void settings_compare(const settings *before, const settings *after,
                      void (*on_change)(void *arg, const setting_key *key), void *arg)
{
    for (size_t i = 0; i < settings_table_n; i++) {
        const char *a = before->entries[i].text, *b = after->entries[i].text;
        if (a != b && (!a || !b || strcmp(a, b) != 0))
            on_change(arg, &settings_table[i]);
    }
}
