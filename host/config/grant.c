/* Both forms end in one function that takes an item's value and one that takes a workspace; only the place
 * that an error names differs. */
#include "config/grant.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"

static const char *const settings_name[] = {
    [GRANT_FOLDERS] = "files.allow", [GRANT_NETWORKS] = "networks.allow", [GRANT_PROGRAMS] = "exec.allow"};
static const char *const value_name[] = {
    [GRANT_FOLDERS] = "folder", [GRANT_NETWORKS] = "network", [GRANT_PROGRAMS] = "program"};

__attribute__((format(printf, 4, 5))) static status_class wrong(status *st, grant_kind kind,
                                                                const char *where, const char *fmt, ...)
{
    char cause[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(cause, sizeof cause, fmt, args);
    va_end(args);
    return status_at(st, STATUS_INVALID, where, "the setting %s cannot be used: %s", settings_name[kind],
                     cause);
}

/* ---- One item ---- */

static bool has_dots(const char *path)
{
    for (const char *p = path; (p = strchr(p, '/')); p++)
        if (!strncmp(p, "/../", 4) || !strcmp(p, "/..") || !strncmp(p, "/./", 3) || !strcmp(p, "/."))
            return true;
    return false;
}

static status_class take_folder(arena *a, const char *value, const char *where, grant *g, status *st)
{
    size_t len = strlen(value);
    if (*value != '/' || has_dots(value) || len > GRANT_FOLDER_MAX) {
        wrong(st, GRANT_FOLDERS, where, "\"%.80s\" is no absolute folder", value);
        return status_hint(st, "write its whole path, without . and .., at most %d bytes", GRANT_FOLDER_MAX);
    }
    while (len > 1 && value[len - 1] == '/')
        len--;
    if (len == 1) {
        wrong(st, GRANT_FOLDERS, where, "/ is the whole machine");
        return status_hint(st, "name the folders that plugins shall read");
    }
    g->value = arena_string_n(a, value, len);
    return STATUS_OK;
}

static status_class take_program(arena *a, const char *value, const char *where, grant *g, status *st)
{
    size_t len = strlen(value);
    if (*value != '/' || has_dots(value) || len > GRANT_FOLDER_MAX || value[len - 1] == '/') {
        wrong(st, GRANT_PROGRAMS, where, "\"%.80s\" is no absolute path of a program", value);
        return status_hint(st, "write its whole path, without . and .., at most %d bytes", GRANT_FOLDER_MAX);
    }
    g->value = arena_string_n(a, value, len);
    return STATUS_OK;
}

/* Clears what lies behind the prefix; true if that changed something. */
static bool network_mask(grant_network *n)
{
    bool changed = false;
    for (unsigned i = 0; i < sizeof n->address; i++) {
        unsigned kept = n->bits > 8 * i ? n->bits - 8 * i : 0;
        uint8_t mask = kept >= 8 ? 0xff : (uint8_t)(0xff00U >> kept);
        changed = changed || (n->address[i] & ~mask);
        n->address[i] &= mask;
    }
    return changed;
}

static bool network_parse(const char *value, grant_network *out)
{
    char address[64], *end;
    size_t len = strcspn(value, "/");
    if (len >= sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", (int)len, value);
    out->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    unsigned most = out->family == AF_INET ? 32 : 128;
    out->bits = most;
    if (inet_pton(out->family, address, out->address) != 1)
        return false;
    if (!value[len])
        return true;
    if (value[len + 1] < '0' || value[len + 1] > '9')
        return false;
    unsigned long bits = strtoul(value + len + 1, &end, 10);
    out->bits = (unsigned)bits;
    return !*end && bits <= most;
}

static status_class take_network(arena *a, const char *value, const char *where, grant *g, status *st)
{
    if (!network_parse(value, &g->network)) {
        wrong(st, GRANT_NETWORKS, where, "\"%.80s\" is no network", value);
        return status_hint(st,
                           "write it as 10.0.0.0/8, 192.168.1.7 or fd00::/8; names are not resolved here");
    }
    grant_network as_given = g->network;
    if (network_mask(&g->network)) {
        char first[INET6_ADDRSTRLEN] = "";
        inet_ntop(as_given.family, g->network.address, first, sizeof first);
        wrong(st, GRANT_NETWORKS, where, "\"%.80s\" has bits behind its prefix", value);
        return status_hint(st, "%s/%u, or the address alone?", first, as_given.bits);
    }
    g->value = arena_string(a, value);
    return STATUS_OK;
}

static status_class take_value(arena *a, grant_kind kind, const char *value, const char *where,
                               grant_list *list, status *st)
{
    if (list->n == GRANTS_MAX)
        return status_at(st, STATUS_LIMIT, where, "the setting %s cannot be used: it has more than %d items",
                         settings_name[kind], GRANTS_MAX);
    grant *g = &list->items[list->n++];
    *g = (grant){0};
    return kind == GRANT_FOLDERS    ? take_folder(a, value, where, g, st)
           : kind == GRANT_PROGRAMS ? take_program(a, value, where, g, st)
                                    : take_network(a, value, where, g, st);
}

static status_class take_workspace(arena *a, grant_kind kind, const char *key, const char *where, grant *g,
                                   status *st)
{
    if (!key || !name_is_slug(key)) {
        wrong(st, kind, where, "\"%.60s\" is no key of a workspace", key ? key : "");
        return status_hint(st, "a key has small letters, digits and -, such as pump-station");
    }
    if (!g->workspaces)
        g->workspaces = arena_zero(a, GRANT_WORKSPACES_MAX, sizeof *g->workspaces);
    if (g->n_workspaces == GRANT_WORKSPACES_MAX)
        return status_at(st, STATUS_LIMIT, where,
                         "the setting %s cannot be used: one item names more than %d workspaces",
                         settings_name[kind], GRANT_WORKSPACES_MAX);
    g->workspaces[g->n_workspaces++] = arena_string(a, key);
    return STATUS_OK;
}

/* ---- YAML ---- */

typedef struct source {
    arena *a;
    grant_kind kind;
    const yaml_tree *tree;
} source;

static const char *place(const source *s, const char *pointer, bool of_key, char out[128])
{
    yaml_tree_where(s->tree, pointer, of_key, out, 128);
    return out;
}

static status_class read_workspaces(const source *s, const char *pointer, const json_t *value, grant *g,
                                    status *st)
{
    char where[128];
    status_class class = STATUS_OK;
    if (!json_is_array(value) || !json_array_size(value)) {
        wrong(st, s->kind, place(s, pointer, false, where), "workspaces is a list of keys");
        return status_hint(st, "leave it out to allow all of them");
    }
    for (size_t i = 0; i < json_array_size(value) && class == STATUS_OK; i++) {
        const char *at = arena_printf(s->a, "%s/%zu", pointer, i);
        class = take_workspace(s->a, s->kind, json_string_value(json_array_get(value, i)),
                               place(s, at, false, where), g, st);
    }
    return class;
}

static status_class check_keys(const source *s, const char *pointer, const json_t *item, status *st)
{
    const char *known[] = {value_name[s->kind], "workspaces"}, *key;
    json_t *value;
    char where[128];
    json_object_foreach((json_t *)item, key, value)
    {
        if (!strcmp(key, known[0]) || !strcmp(key, known[1]))
            continue;
        const char *at = arena_printf(s->a, "%s/%s", pointer, key), *near = name_suggest(key, known, 2);
        wrong(st, s->kind, place(s, at, true, where), "an item has no \"%.60s\"", key);
        return near ? status_hint(st, "did you mean %s?", near)
                    : status_hint(st, "an item is {%s: …, workspaces: […]}", known[0]);
    }
    return STATUS_OK;
}

static status_class read_item(const source *s, const char *pointer, const json_t *item, grant_list *list,
                              status *st)
{
    char where[128];
    bool mapping = json_is_object(item);
    const char *name = value_name[s->kind];
    const json_t *value = mapping ? json_object_get(item, name) : item;
    status_class class = mapping ? check_keys(s, pointer, item, st) : STATUS_OK;
    if (class != STATUS_OK)
        return class;
    if (!json_is_string(value)) {
        wrong(st, s->kind, place(s, pointer, false, where), "an item is a %s, or {%s: …, workspaces: […]}",
              name, name);
        return st->class;
    }
    const char *at = mapping ? arena_printf(s->a, "%s/%s", pointer, name) : pointer;
    class = take_value(s->a, s->kind, json_string_value(value), place(s, at, false, where), list, st);
    const json_t *workspaces = mapping ? json_object_get(item, "workspaces") : NULL;
    if (class != STATUS_OK || !workspaces)
        return class;
    return read_workspaces(s, arena_printf(s->a, "%s/workspaces", pointer), workspaces,
                           &list->items[list->n - 1], st);
}

status_class grant_list_read(arena *a, grant_kind kind, const yaml_tree *t, const char *pointer,
                             const json_t *value, grant_list **ret, status *st)
{
    const source s = {a, kind, t};
    char where[128];
    place(&s, pointer, false, where);
    if (json_is_string(value))
        return grant_list_parse(a, kind, json_string_value(value), where, ret, st);
    if (!json_is_array(value))
        return wrong(st, kind, where, "it must be a list");
    grant_list *list = arena_zero(a, 1, sizeof *list);
    status_class class = STATUS_OK;
    for (size_t i = 0; i < json_array_size(value) && class == STATUS_OK; i++)
        class = read_item(&s, arena_printf(a, "%s/%zu", pointer, i), json_array_get(value, i), list, st);
    *ret = list;
    return class;
}

/* ---- Text ---- */

static status_class parse_item(arena *a, grant_kind kind, char *item, const char *origin, grant_list *list,
                               status *st)
{
    char *workspaces = strrchr(item, '@'), *key;
    if (workspaces)
        *workspaces++ = '\0';
    status_class class = take_value(a, kind, item, origin, list, st);
    while (class == STATUS_OK && (key = strsep(&workspaces, "+")))
        class = take_workspace(a, kind, key, origin, &list->items[list->n - 1], st);
    return class;
}

status_class grant_list_parse(arena *a, grant_kind kind, const char *text, const char *origin,
                              grant_list **ret, status *st)
{
    grant_list *list = arena_zero(a, 1, sizeof *list);
    char *rest = arena_string(a, text), *item;
    status_class class = STATUS_OK;
    while (class == STATUS_OK && (item = strsep(&rest, ","))) {
        item += strspn(item, " ");
        for (size_t len = strlen(item); len && item[len - 1] == ' ';)
            item[--len] = '\0';
        if (*item)
            class = parse_item(a, kind, item, origin, list, st);
    }
    *ret = list;
    return class;
}

char *grant_list_text(arena *a, const grant_list *list)
{
    text out = {0};
    for (size_t i = 0; i < list->n; i++) {
        const grant *g = &list->items[i];
        text_printf(&out, "%s%s", i ? "," : "", g->value);
        for (size_t w = 0; w < g->n_workspaces; w++)
            text_printf(&out, "%c%s", w ? '+' : '@', g->workspaces[w]);
    }
    char *own = arena_string(a, text_or_empty(&out));
    text_free(&out);
    return own;
}

/* ---- Answers ---- */

static bool holds_for(const grant *g, const char *workspace)
{
    for (size_t i = 0; i < g->n_workspaces; i++)
        if (!strcmp(g->workspaces[i], workspace))
            return true;
    return g->n_workspaces == 0;
}

size_t grant_files(const settings *s, const char *workspace, const char *ret[GRANTS_MAX])
{
    const grant_list *list = settings_grants(s, settings_name[GRANT_FOLDERS]);
    size_t n = 0;
    for (size_t i = 0; list && i < list->n; i++)
        if (holds_for(&list->items[i], workspace))
            ret[n++] = list->items[i].value;
    return n;
}

bool grant_program(const settings *s, const char *workspace, const char *path)
{
    const grant_list *list = settings_grants(s, settings_name[GRANT_PROGRAMS]);
    for (size_t i = 0; list && i < list->n; i++)
        if (!strcmp(list->items[i].value, path) && holds_for(&list->items[i], workspace))
            return true;
    return false;
}

size_t grant_networks(const settings *s, const char *workspace, grant_network ret[GRANTS_MAX])
{
    const grant_list *list = settings_grants(s, settings_name[GRANT_NETWORKS]);
    size_t n = 0;
    for (size_t i = 0; list && i < list->n; i++)
        if (holds_for(&list->items[i], workspace))
            ret[n++] = list->items[i].network;
    return n;
}

bool grant_network_contains(const grant_network *network, const struct sockaddr *address)
{
    grant_network other = {.family = address->sa_family, .bits = network->bits};
    if (address->sa_family == AF_INET) {
        memcpy(other.address, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(six);
        other.family = mapped ? AF_INET : AF_INET6;
        memcpy(other.address, six->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
    } else {
        return false;
    }
    network_mask(&other);
    return other.family == network->family && !memcmp(other.address, network->address, sizeof other.address);
}
