#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wording.h"

/* ---- what it says ---- */

int clickhouse_code(const char *said, size_t len)
{
    static const char word[] = "Code: ";
    for (size_t i = 0; i + sizeof word <= len; i++)
        if (!memcmp(said + i, word, sizeof word - 1)) {
            char digits[12] = "";
            snprintf(digits, sizeof digits, "%.*s",
                     (int)(len - i - sizeof word + 1 < 9 ? len - i - sizeof word + 1 : 9),
                     said + i + sizeof word - 1);
            return atoi(digits);
        }
    return 0;
}

pst_status clickhouse_status(int code)
{
    /* parsing (6, 25 … 28, 32, 38, 41, 72), types and bounds (53, 69, 70, 131, 321, 349, 407), wrong data
     * (117, 441, 469) */
    static const int data[] = {6,  25, 26,  27,  28,  32,  38,  41,  53, 69,
                               70, 72, 117, 131, 321, 349, 407, 441, 469};
    static const int auth[] = {192, 193, 194, 195, 497, 516};
    /* unknown column, setting, table, database, engine; syntax */
    static const int person[] = {8, 16, 36, 46, 47, 48, 60, 62, 81, 115};
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        if (data[i] == code)
            return PST_E_DATA;
    for (size_t i = 0; i < sizeof auth / sizeof *auth; i++)
        if (auth[i] == code)
            return PST_E_AUTH;
    for (size_t i = 0; i < sizeof person / sizeof *person; i++)
        if (person[i] == code)
            return PST_E_CONFIG;
    return PST_E_UNAVAILABLE;
}

/* Something that answers 200 to whatever it is asked. */
static pst_status stranger(const pull_client *c, pst_error *error)
{
    return pst_fail(error, PST_E_UNAVAILABLE, NULL,
                    "what answers at %s is no ClickHouse; is there a proxy or a sign-in page before it?",
                    c->answer.place);
}

/* `quiet`: nothing is said when all is well (an INSERT), so that words are an error that came late. */
static pst_status judge(const pull_client *c, pst_status st, bool quiet, pst_error *error)
{
    char words[240];
    size_t n = 0;
    const transport_body *b = &c->answer.body;
    bool wrong = st ? c->answer.status >= 400 : quiet && b->len;
    int code = wrong ? clickhouse_code(b->data, b->len) : 0;
    if (!code)
        return st || !wrong ? st : stranger(c, error);
    for (size_t i = 0; i < b->len && n + 1 < sizeof words && b->data[i] != '\n'; i++)
        words[n++] = (char)(b->data[i] >= ' ' && b->data[i] <= '~' ? b->data[i] : '?');
    words[n] = '\0';
    error->vendor_code = code;
    pst_status meant = clickhouse_status(code);
    const char *where = meant == PST_E_AUTH ? "/auth" : meant == PST_E_CONFIG ? "/table" : NULL;
    return pst_fail(error, meant, where, "ClickHouse at %s: %s", c->answer.place, words);
}

pst_status table_ask(const table *t, pull_client *c, const pst_call *call, const char *query,
                     const char *more, const pst_text *body, pst_error *error)
{
    wording url = {0};
    const char *base = c->host->config_text(c->host, "/url");
    size_t len = strlen(base);
    (void)t;
    wording_add(&url, WORDING_PLAIN, base, len && base[len - 1] == '/' ? len - 1 : len);
    wording_add_text(&url, WORDING_PLAIN, "/");
    wording_add_query(&url, "query", query);
    wording_add_text(&url, WORDING_PLAIN, more);
    pull_request r = {.url = wording_text(&url),
                      .body = body ? body->data : "",
                      .body_len = body ? body->len : 0,
                      .type = "application/x-ndjson"};
    pst_status st =
        url.failed ? pst_fail(error, PST_E_RESOURCE, NULL, "no memory") : pull_ask(c, call, &r, error);
    wording_free(&url);
    return judge(c, st, body != NULL, error);
}

/* ---- what it is ---- */

static bool is_name(const char *s)
{
    return s && *s && strlen(s) < sizeof((table *)0)->name &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(s);
}

pst_status table_open(table *t, const pst_host *host, pst_error *error)
{
    const char *database = host->config_text(host, "/database"), *name = host->config_text(host, "/table");
    if (!is_name(database) || !is_name(name))
        return pst_fail(error, PST_E_CONFIG, "/table",
                        "database and table are names of letters, digits and _");
    snprintf(t->database, sizeof t->database, "%s", database);
    snprintf(t->name, sizeof t->name, "%s", name);
    return PST_OK;
}

void table_close(table *t)
{
    free(t->columns);
    *t = (table){0};
}

const table_column *table_find(const table *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->columns[i].name, name))
            return &t->columns[i];
    return NULL;
}

/* "name\ttype" a line; names of columns here are those of a store, so nothing in them is escaped. */
static void take_column(table *t, const char *line, size_t len)
{
    const char *tab = memchr(line, '\t', len);
    if (!tab || t->n == TABLE_COLUMNS_MAX || (size_t)(tab - line) >= sizeof t->columns->name)
        return;
    table_column *c = &t->columns[t->n++];
    snprintf(c->name, sizeof c->name, "%.*s", (int)(tab - line), line);
    char type[80];
    snprintf(type, sizeof type, "%.*s", (int)(len - (size_t)(tab - line) - 1), tab + 1);
    const char *time = strstr(type, "DateTime");
    c->time = !time ? TIME_RFC3339 : !strncmp(time, "DateTime64", 10) ? TIME_MICROSECONDS : TIME_SECONDS;
}

static void take_columns(table *t, const transport_body *said)
{
    for (size_t i = 0; i < said->len;) {
        const char *line = said->data + i, *end = memchr(line, '\n', said->len - i);
        size_t len = end ? (size_t)(end - line) : said->len - i;
        take_column(t, line, len);
        i += len + 1;
    }
}

/* Insert tokens are known from 22.2 on. */
static pst_status take_version(table *t, const pull_client *c, pst_error *error)
{
    const transport_body *said = &c->answer.body;
    char version[40];
    int major = 0, minor = 0;
    snprintf(version, sizeof version, "%.*s", (int)(said->len < 30 ? said->len : 30),
             said->len ? said->data : "");
    if (sscanf(version, "%d.%d", &major, &minor) != 2)
        return stranger(c, error);
    t->deduplicates = major > 22 || (major == 22 && minor >= 2);
    return PST_OK;
}

pst_status table_look(table *t, pull_client *c, const pst_call *call, pst_error *error)
{
    char query[400];
    if (t->known)
        return PST_OK;
    if (!t->columns)
        t->columns = calloc(TABLE_COLUMNS_MAX, sizeof *t->columns);
    if (!t->columns)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    t->n = 0;
    pst_status st = table_ask(t, c, call, "SELECT version()", "", NULL, error);
    if (!st)
        st = take_version(t, c, error);
    snprintf(
        query, sizeof query,
        "SELECT name, type FROM system.columns WHERE database = '%s' AND table = '%s' FORMAT TabSeparated",
        t->database, t->name);
    if (!st)
        st = table_ask(t, c, call, query, "", NULL, error);
    if (!st)
        take_columns(t, &c->answer.body);
    if (!st && !t->n)
        return pst_fail(error, PST_E_CONFIG, "/table", "%s: there is no table %s.%s, or it may not be seen",
                        c->answer.place, t->database, t->name);
    t->known = !st;
    return st;
}
