/* [{stream, title, schema, example}]. A column's type is what its values have in common; a text that looks
 * like RFC 3339 in every record is a time. */
#include "discover.h"

#include <stdio.h>
#include <string.h>

enum { LOOKED_AT = 100, COLUMNS_MAX = 200 };

typedef struct column {
    const char *name;
    unsigned kinds; /* one bit a PST_JSON_… */
    unsigned seen;
    bool times;
} column;

typedef struct sample {
    const pst_json_service *json;
    const pst_json *records;
    column columns[COLUMNS_MAX];
    size_t n, looked;
} sample;

static bool is_time(const char *text)
{
    static const char shape[] = "0000-00-00T00:00:00";
    for (size_t i = 0; i < sizeof shape - 1; i++)
        if (shape[i] == '0' ? text[i] < '0' || text[i] > '9'
                            : text[i] != shape[i] && !(i == 10 && text[i] == ' '))
            return false;
    size_t len = strlen(text);
    return text[len - 1] == 'Z' || (len > 6 && (text[len - 6] == '+' || text[len - 6] == '-'));
}

static column *find_column(sample *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->columns[i].name, name))
            return &s->columns[i];
    if (s->n == COLUMNS_MAX)
        return NULL;
    s->columns[s->n] = (column){.name = name, .times = true};
    return &s->columns[s->n++];
}

static void look_at(sample *s, const pst_json *record)
{
    size_t n = s->json->kind(record, "") == PST_JSON_OBJECT ? s->json->count(record, "") : 0;
    for (size_t i = 0; i < n; i++) {
        column *c = find_column(s, s->json->key(record, "", i));
        const pst_json *value = s->json->item(record, i);
        int32_t kind = s->json->kind(value, "");
        const char *text = s->json->text(value, "");
        if (!c)
            continue;
        c->kinds |= kind == PST_JSON_NULL ? 0 : 1u << kind;
        c->seen++;
        c->times = c->times && (kind == PST_JSON_NULL || (text && is_time(text)));
    }
    s->looked++;
}

static const char *type_of(const column *c)
{
    const unsigned number = 1u << PST_JSON_INTEGER | 1u << PST_JSON_REAL;
    if (c->kinds == 1u << PST_JSON_TEXT)
        return c->times ? "{\"type\":\"string\",\"format\":\"date-time\"}" : "{\"type\":\"string\"}";
    if (c->kinds == 1u << PST_JSON_BOOLEAN)
        return "{\"type\":\"boolean\"}";
    if (c->kinds == 1u << PST_JSON_INTEGER)
        return "{\"type\":\"integer\"}";
    return c->kinds && !(c->kinds & ~number) ? "{\"type\":\"number\"}" : "{}";
}

static void write_schema(const sample *s, wording *w)
{
    wording_add_text(w, WORDING_PLAIN, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < s->n; i++) {
        wording_add_text(w, WORDING_PLAIN, i ? ",\"" : "\"");
        wording_add_text(w, WORDING_JSON, s->columns[i].name);
        wording_add_text(w, WORDING_PLAIN, "\":");
        wording_add_text(w, WORDING_PLAIN, type_of(&s->columns[i]));
    }
    wording_add_text(w, WORDING_PLAIN, "},\"required\":[");
    for (size_t i = 0, n = 0; i < s->n; i++) {
        if (s->columns[i].seen < s->looked)
            continue;
        wording_add_text(w, WORDING_PLAIN, n++ ? ",\"" : "\"");
        wording_add_text(w, WORDING_JSON, s->columns[i].name);
        wording_add_text(w, WORDING_PLAIN, "\"");
    }
    wording_add_text(w, WORDING_PLAIN, "]}");
}

/* The array of records: where it is said to be, the document itself, or its first member that is an array. */
static const pst_json *find_records(const pst_json_service *json, const pst_json *root, const char *records)
{
    const pst_json *there = json->find(root, records);
    if (json->kind(there, "") == PST_JSON_ARRAY)
        return there;
    for (size_t i = 0; json->kind(root, "") == PST_JSON_OBJECT && i < json->count(root, ""); i++)
        if (json->kind(json->item(root, i), "") == PST_JSON_ARRAY)
            return json->item(root, i);
    return NULL;
}

static pst_status write_stream(sample *s, wording *w, pst_error *error)
{
    pst_blob example = {.struct_size = sizeof example};
    const pst_json *first = s->json->item(s->records, 0);
    for (size_t i = 0; i < s->json->count(s->records, "") && i < LOOKED_AT; i++)
        look_at(s, s->json->item(s->records, i));
    pst_status st = first ? s->json->print(first, "", &example, error) : PST_OK;
    if (st)
        return st;
    wording_add_text(w, WORDING_PLAIN, "[{\"stream\":\"\",\"title\":\"Records\",\"schema\":");
    write_schema(s, w);
    wording_add_text(w, WORDING_PLAIN, ",\"example\":");
    wording_add(w, WORDING_PLAIN, first ? example.data : "null", first ? example.len : 4);
    wording_add_text(w, WORDING_PLAIN, "}]");
    if (example.release)
        example.release(&example);
    return PST_OK;
}

pst_status discover_write(const pst_host *host, const pull_answer *answer, const char *records,
                          pst_blob *json_out, pst_error *error)
{
    static sample s;
    wording w = {0};
    s = (sample){.json = host->get_service(host, PST_SERVICE_JSON)};
    if (!s.json)
        return pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host reads no JSON for plugins");
    pst_json *root = s.json->parse(host, (pst_bytes){answer->body.data, answer->body.len}, error);
    if (!root)
        return PST_E_DATA;
    s.records = find_records(s.json, root, records);
    pst_status st = s.records ? write_stream(&s, &w, error)
                              : pst_fail(error, PST_E_DATA, "/paging/records",
                                         "%s answered no array of records", answer->place);
    if (!st && w.failed)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st)
        st = pst_blob_set(json_out, w.data, w.len, error);
    s.json->discard(root);
    wording_free(&w);
    return st;
}
