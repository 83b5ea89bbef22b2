#include "paging.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "link.h"

enum { NAME_MAX_BYTES = 32 };

static const char *setting(const paging *g, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/paging/%s", name);
    return g->host->config_text(g->host, path);
}

pst_status paging_open(paging *g, const pst_host *host, pst_error *error)
{
    static const char *const ways[] = {"", "page", "offset", "cursor", "link"};
    const char *by = host->config_text(host, "/paging/by");
    *g = (paging){.host = host, .json = host->get_service(host, PST_SERVICE_JSON)};
    for (size_t i = 1; by && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(by, ways[i]))
            g->by = (paging_by)i;
    g->keep = host->config_flag(host, "/paging/keep");
    g->windows = host->config_has(host, "/window");
    g->size = host->config_int(host, "/paging/size");
    g->most = host->config_int(host, "/paging/most");
    g->every_us = host->config_int(host, "/every_s") * 1000000;
    g->offset_us = host->config_int(host, "/offset_s") * 1000000;
    if (g->by && !g->json)
        return pst_fail(error, PST_E_UNSUPPORTED, "/paging", "this host reads no JSON for plugins");
    if (g->every_us <= 0)
        return pst_fail(error, PST_E_CONFIG, "/every_s", "at least a second");
    if (g->offset_us >= g->every_us)
        return pst_fail(error, PST_E_CONFIG, "/offset_s", "less than every_s is expected");
    return PST_OK;
}

/* ---- A poll ---- */

static int64_t seconds(const paging *g, const char *path)
{
    return g->host->config_int(g->host, path) * 1000000;
}

void paging_begin(const paging *g, position *p, int64_t now_us)
{
    int64_t most_us = seconds(g, "/window/most_s");
    p->from_us = p->to_us ? p->to_us - seconds(g, "/window/again_s") : now_us - seconds(g, "/window/first_s");
    p->to_us = most_us && p->from_us + most_us < now_us ? p->from_us + most_us : now_us;
    p->number = 0;
    p->pages = 0;
    if (!g->keep)
        p->next[0] = '\0';
}

/* Multiples since 1970, as everywhere; a window that is behind now goes on at once. */
void paging_end(const paging *g, position *p, int64_t now_us)
{
    bool behind = g->windows && p->to_us + g->every_us < now_us;
    int64_t turns = (now_us - g->offset_us) / g->every_us + 1;
    p->due_us = behind ? now_us : turns * g->every_us + g->offset_us;
    p->number = 0;
    p->pages = 0;
    if (!g->keep)
        p->next[0] = '\0';
}

/* ---- What is asked ---- */

/* %Y %m %d %H %M %S %%; anything else stands for itself. */
static void write_pattern(const char *pattern, const struct tm *t, wording *out)
{
    static const char letters[] = "YmdHMS%";
    char number[16];
    for (const char *at = pattern; *at; at++) {
        const char *which = *at == '%' && at[1] ? strchr(letters, at[1]) : NULL;
        const int values[] = {t->tm_year + 1900, t->tm_mon + 1, t->tm_mday, t->tm_hour, t->tm_min, t->tm_sec};
        if (which && *which != '%') {
            snprintf(number, sizeof number, *which == 'Y' ? "%04d" : "%02d", values[which - letters]);
            wording_add_text(out, WORDING_PLAIN, number);
        } else {
            wording_add(out, WORDING_PLAIN, at, 1);
        }
        at += which != NULL;
    }
}

static void write_time(const paging *g, int64_t us, char *out, size_t cap)
{
    const char *format = g->host->config_text(g->host, "/window/format");
    time_t second = (time_t)(us / 1000000);
    wording text = {0};
    struct tm utc;
    if (!format || !strcmp(format, "unix_s"))
        snprintf(out, cap, "%" PRId64, us / 1000000);
    else if (!strcmp(format, "unix_ms"))
        snprintf(out, cap, "%" PRId64, us / 1000);
    else {
        write_pattern(format, gmtime_r(&second, &utc), &text);
        snprintf(out, cap, "%s", wording_text(&text));
    }
    wording_free(&text);
}

/* The value of {name}; NULL: there is none. */
static const char *value_of(const paging *g, const char *site, const position *p, const char *name,
                            char *room, size_t cap)
{
    char path[160];
    if (g->windows && (!strcmp(name, "from") || !strcmp(name, "to"))) {
        write_time(g, *name == 'f' ? p->from_us : p->to_us, room, cap);
        return room;
    }
    if (!strcmp(name, "site"))
        return site;
    snprintf(path, sizeof path, "/sites/%s/%s", site, name);
    return g->host->config_text(g->host, path);
}

/* `pattern` with {name} replaced; braces around anything but a name stand for themselves. */
static pst_status fill(const paging *g, const char *site, const position *p, const char *pattern,
                       wording_as as, const char *where, wording *out, pst_error *error)
{
    char name[NAME_MAX_BYTES], room[128];
    bool named = strcmp(site, ".") != 0;
    for (const char *at = pattern; *at;) {
        size_t plain = strcspn(at, "{");
        wording_add(out, WORDING_PLAIN, at, plain);
        at += plain;
        size_t len = *at ? strspn(at + 1, "abcdefghijklmnopqrstuvwxyz0123456789_") : 0;
        if (*at && (!len || len >= sizeof name || at[1 + len] != '}')) {
            wording_add(out, WORDING_PLAIN, at++, 1);
        } else if (*at) {
            snprintf(name, sizeof name, "%.*s", (int)len, at + 1);
            const char *value = value_of(g, site, p, name, room, sizeof room);
            if (!value)
                return pst_fail(error, PST_E_CONFIG, where, "{%s} stands for nothing%s%s", name,
                                named ? " at the site " : "; window or sites would give it a value",
                                named ? site : "");
            wording_add_text(out, as, value);
            at += len + 2;
        }
    }
    return PST_OK;
}

static pst_status add_query(const paging *g, const char *site, const position *p, wording *url,
                            pst_error *error)
{
    wording value = {0};
    char path[160];
    pst_status st = PST_OK;
    size_t n = g->host->config_count(g->host, "/query");
    for (size_t i = 0; !st && i < n; i++) {
        const char *name = g->host->config_key(g->host, "/query", i);
        snprintf(path, sizeof path, "/query/%s", name);
        const char *pattern = g->host->config_text(g->host, path);
        wording_clear(&value);
        st = pattern ? fill(g, site, p, pattern, WORDING_PLAIN, path, &value, error)
                     : pst_fail(error, PST_E_CONFIG, "/query", "a name with ~ or / is not possible");
        if (!st)
            wording_add_query(url, name, wording_text(&value));
    }
    url->failed = url->failed || value.failed;
    wording_free(&value);
    return st;
}

static void add_number(wording *url, const char *parameter, int64_t value)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, value);
    wording_add_query(url, parameter, number);
}

static void add_page(const paging *g, const position *p, wording *url)
{
    const char *parameter = setting(g, "parameter"), *size = setting(g, "size_parameter");
    if (size && g->size)
        add_number(url, size, g->size);
    if (g->by == PAGING_PAGE)
        add_number(url, parameter, g->host->config_int(g->host, "/paging/first") + (int64_t)p->number);
    else if (g->by == PAGING_OFFSET)
        add_number(url, parameter, (int64_t)p->number);
    else if (g->by == PAGING_CURSOR && p->next[0])
        wording_add_query(url, parameter, p->next);
}

pst_status paging_ask(const paging *g, const char *site, const position *p, wording *url, wording *body,
                      pst_error *error)
{
    const char *posted = g->host->config_text(g->host, "/body");
    const char *template = g->host->config_text(g->host, "/url");
    pst_status st = PST_OK;
    wording_clear(url);
    wording_clear(body);
    if (g->by == PAGING_LINK && p->next[0]) {
        wording_add_text(url, WORDING_PLAIN, p->next);
    } else {
        st = fill(g, site, p, template ? template : "", WORDING_URL, "/url", url, error);
        st = st ? st : add_query(g, site, p, url, error);
        add_page(g, p, url);
    }
    if (!st && posted)
        st = fill(g, site, p, posted, WORDING_JSON, "/body", body, error);
    if (!st && (url->failed || body->failed))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a question");
    return st;
}

/* ---- What an answer says ---- */

static pst_status odd(const pull_client *c, pst_error *error, const char *what, const char *pointer)
{
    return pst_fail(error, PST_E_UNAVAILABLE, "/paging", "%s answered %s%s%s; asked again later",
                    c->answer.place, what, pointer ? " at " : "", pointer ? pointer : "");
}

static pst_status count_records(const paging *g, const pull_client *c, const pst_json *answer, int64_t *n_out,
                                pst_error *error)
{
    const char *at = setting(g, "records");
    int32_t kind = g->json->kind(answer, at ? at : "");
    *n_out = (int64_t)g->json->count(answer, at ? at : "");
    return kind == PST_JSON_ARRAY || kind == PST_JSON_NULL
               ? PST_OK
               : odd(c, error, "no array of records", at ? at : "");
}

/* The cursor in the answer: a text or a whole number; "" = there is no next page. */
static pst_status find_next(const paging *g, const pull_client *c, const pst_json *answer, char *out,
                            size_t cap, pst_error *error)
{
    const char *at = setting(g, "next"), *text = g->json->text(answer, at);
    int32_t kind = g->json->kind(answer, at);
    *out = '\0';
    if (kind == PST_JSON_INTEGER)
        snprintf(out, cap, "%" PRId64, g->json->integer(answer, at));
    else if (text && strlen(text) >= cap)
        return odd(c, error, "a next page that is too long", at);
    else if (text)
        snprintf(out, cap, "%s", text);
    else if (kind != PST_JSON_ABSENT && kind != PST_JSON_NULL && kind != PST_JSON_BOOLEAN)
        return odd(c, error, "neither text nor number", at);
    return PST_OK;
}

static pst_status find_link(const paging *g, const pull_client *c, const pst_json *answer, char *out,
                            size_t cap, pst_error *error)
{
    char found[PULL_URL_MAX] = "", absolute[PULL_URL_MAX];
    bool home;
    *out = '\0';
    if (setting(g, "next")) {
        pst_status st = find_next(g, c, answer, found, sizeof found, error);
        if (st)
            return st;
    } else if (!link_next(c->answer.link, found, sizeof found)) {
        return PST_OK;
    }
    if (!*found)
        return PST_OK;
    if (!url_resolve(c->answer.url, found, absolute) || strlen(absolute) >= cap)
        return odd(c, error, "a link that is no URL of http, or is too long", NULL);
    snprintf(out, cap, "%s", absolute);
    return pull_allowed(c, absolute, &home, error);
}

static pst_status move(const paging *g, const pull_client *c, const pst_json *answer, position *p, page *out,
                       pst_error *error)
{
    char next[POSITION_NEXT_MAX] = "";
    int64_t n = 0;
    pst_status st = PST_OK;
    if (g->by == PAGING_PAGE || g->by == PAGING_OFFSET) {
        st = count_records(g, c, answer, &n, error);
        out->empty = n == 0;
        out->last = n == 0 || n < g->size;
    } else {
        st = g->by == PAGING_CURSOR ? find_next(g, c, answer, next, sizeof next, error)
                                    : find_link(g, c, answer, next, sizeof next, error);
        out->last = !*next || (g->keep && !strcmp(next, p->next));
        if (!st && !out->last && !strcmp(next, p->next))
            st = odd(c, error, "the same next page twice", NULL);
    }
    if (st)
        return st;
    p->number += g->by == PAGING_OFFSET ? (uint64_t)n : 1;
    if (*next || !g->keep)
        snprintf(p->next, sizeof p->next, "%s", next);
    return PST_OK;
}

pst_status paging_advance(const paging *g, const pull_client *c, position *p, int64_t now_us, page *out,
                          pst_error *error)
{
    bool reads = g->by == PAGING_LINK ? setting(g, "next") != NULL : g->by != PAGING_NONE;
    pst_bytes text = {c->answer.body.data, c->answer.body.len};
    pst_error why = {.struct_size = sizeof why};
    pst_json *answer = reads ? g->json->parse(g->host, text, &why) : NULL;
    pst_status st = PST_OK;
    *out = (page){.last = g->by == PAGING_NONE, .empty = !c->answer.body.len};
    if (reads && !answer)
        st = odd(c, error, why.message, NULL);
    else if (g->by != PAGING_NONE)
        st = move(g, c, answer, p, out, error);
    if (answer)
        g->json->discard(answer);
    if (st)
        return st;
    p->pages++;
    if (!out->last && p->pages >= g->most)
        return pst_fail(error, PST_E_CONFIG, "/paging/most",
                        "%s has more than %" PRId64 " pages; raise paging.most, or ask for less",
                        c->answer.place, g->most);
    if (out->last)
        paging_end(g, p, now_us);
    return PST_OK;
}
