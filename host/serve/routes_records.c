/* Where every row went: the ledger, and the dead letters with their bytes. Also the audit. */
#include <sodium.h>
#include <stdlib.h>

#include "control/audit.h"
#include "flow/accounts.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

/* Row `row` as an object: integers, times and texts by the columns' own names. */
static json_t *row_json(const rows *found, uint32_t row)
{
    json_t *v = json_object();
    for (uint32_t i = 0; i < rows_columns(found); i++) {
        json_t *cell;
        if (rows_null(found, row, i))
            cell = json_null();
        else if (rows_type(found, i) == COLUMN_INTEGER)
            cell = json_integer(rows_integer(found, row, i));
        else if (rows_type(found, i) == COLUMN_TIMESTAMP)
            cell = resource_time_json(rows_time_us(found, row, i));
        else
            cell = json_string(rows_text(found, row, i));
        json_object_set_new(v, rows_name(found, i), cell);
    }
    return v;
}

static json_t *rows_json(const rows *found, uint32_t n)
{
    json_t *items = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(items, row_json(found, i));
    return items;
}

/* ---- ledger ---- */

static void ledger_list(http_request *r)
{
    int64_t from_us, to_us;
    rows *found = NULL;
    status st;
    pool *p = r->services->control->data;
    if (!resource_time(r, "from", &from_us) || !resource_time(r, "to", &to_us))
        return;
    connection *c = resource_data(r);
    if (!c)
        return;
    status_class class = accounts_ledger(c, (int32_t)r->wid, from_us, to_us, &found, &st);
    pool_return(p, c);
    if (class == STATUS_OK)
        resource_list(r, rows_json(found, rows_count(found)), "store");
    else
        problem_answer(r, &st);
    rows_free(found);
}

/* ---- dead letters ---- */

static void letters_list(http_request *r)
{
    page_request page;
    rows *found = NULL;
    status st;
    pool *p = r->services->control->data;
    const char *store = http_request_query(r, "filter[store]");
    connection *c = page_request_read(r, &page) ? resource_data(r) : NULL;
    if (!c)
        return;
    status_class class =
        accounts_dead_letters(c, (int32_t)r->wid, store, page.after, page.limit + 1, &found, &st);
    pool_return(p, c);
    if (class == STATUS_OK) {
        bool more = rows_count(found) > page.limit;
        resource_page(r, rows_json(found, more ? page.limit : rows_count(found)),
                      more ? rows_text(found, page.limit - 1, 0) : NULL);
    } else {
        problem_answer(r, &st);
    }
    rows_free(found);
}

/* The bytes as they came: text when they are, else base64. */
static void add_body(json_t *to, const rows *found, arena *a)
{
    size_t len = 0;
    int col = rows_find(found, "body");
    const uint8_t *bytes = col < 0 ? NULL : rows_bytes(found, 0, (uint32_t)col, a, &len);
    json_object_del(to, "body");
    if (!bytes)
        return;
    json_t *plain = json_stringn((const char *)bytes, len);
    if (plain) {
        json_object_set_new(to, "body", plain);
        return;
    }
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *coded = arena_alloc(a, size);
    sodium_bin2base64(coded, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(to, "body_base64", json_string(coded));
}

static void letter_show(http_request *r)
{
    rows *found = NULL;
    status st;
    const char *id = http_request_param(r, "id");
    pool *p = r->services->control->data;
    connection *c = resource_data(r);
    if (!c)
        return;
    status_class class = accounts_dead_letter(c, (int32_t)r->wid, id, &found, &st);
    pool_return(p, c);
    if (class == STATUS_OK && rows_count(found)) {
        json_t *v = row_json(found, 0);
        add_body(v, found, r->arena);
        resource_answer(r, 200, v);
    } else if (class == STATUS_OK) {
        resource_missing(r, "dead letter", id);
    } else {
        problem_answer(r, &st);
    }
    rows_free(found);
}

/* ---- audit ---- */

static void audit_show(http_request *r)
{
    page_request page;
    json_t *found = NULL;
    status st;
    pool *p = r->services->control->control;
    connection *c = page_request_read(r, &page) ? resource_control(r) : NULL;
    if (!c)
        return;
    int64_t before = page.after ? strtoll(page.after, NULL, 10) : 0;
    status_class class = audit_list(c, (int32_t)r->wid, before, page.limit + 1, &found, &st);
    pool_return(p, c);
    if (class != STATUS_OK) {
        problem_answer(r, &st);
        return;
    }
    const char *last = NULL;
    if (json_array_size(found) > page.limit) {
        json_array_remove(found, page.limit);
        const json_t *seq = json_object_get(json_array_get(found, page.limit - 1), "seq");
        last = arena_printf(r->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(seq));
    }
    resource_page(r, found, last);
}

/* ---- the table ---- */

static const route_parameter ledger_parameters[] = {{"from", NULL, "Time of receipt from which on"},
                                                    {"to", NULL, "Time of receipt before which"}};
static const route_parameter letter_parameters[] = {{"filter[store]", NULL, "Only of this datastore"}};

#define LETTER_MEMBERS                                                             \
    "\"id\":" RESOURCE_TEXT ",\"store\":" RESOURCE_TEXT ",\"code\":" RESOURCE_TEXT \
    ",\"pointer\":" RESOURCE_TEXT_OR_NULL ",\"detail\":" RESOURCE_TEXT_OR_NULL     \
    ",\"received\":" RESOURCE_TIME_OR_NULL ",\"origin\":" RESOURCE_TEXT_OR_NULL    \
    ",\"request\":" RESOURCE_TEXT_OR_NULL
#define LETTER_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"id\",\"store\",\"code\"],\"properties\":{" LETTER_MEMBERS "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/ledger",
     .name = "ledger",
     .tag = "records",
     .summary = "Rows received, stored, updated, duplicate, rejected and dropped, per datastore; too late "
                "and expired ones, per store",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"store\",\"received\",\"stored\"],\"properties\":{"
         "\"store\":" RESOURCE_TEXT ",\"received\":" RESOURCE_INTEGER ",\"stored\":" RESOURCE_INTEGER
         ",\"updated\":" RESOURCE_INTEGER ",\"duplicate\":" RESOURCE_INTEGER ",\"rejected\":" RESOURCE_INTEGER
         ",\"dropped\":" RESOURCE_INTEGER ",\"too_late\":" RESOURCE_INTEGER ",\"expired\":" RESOURCE_INTEGER
         "}}"),
     .success = 200,
     .parameters = ledger_parameters,
     .n_parameters = 2,
     .handler = ledger_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/dead-letters",
     .name = "dead_letters",
     .tag = "records",
     .summary = "Rows that were rejected, and why, newest first",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(LETTER_SCHEMA),
     .success = 200,
     .parameters = letter_parameters,
     .n_parameters = 1,
     .handler = letters_list},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/dead-letters/{id}",
     .name = "dead_letter",
     .tag = "records",
     .summary = "One rejected row with its bytes",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"id\",\"store\",\"code\"],\"properties\":{" LETTER_MEMBERS
         ",\"body\":" RESOURCE_TEXT ",\"body_base64\":" RESOURCE_TEXT "}}",
     .success = 200,
     .handler = letter_show},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/audit",
     .name = "audit",
     .tag = "records",
     .summary = "Who changed what in a workspace, newest first",
     .verb = VERB_ADMIN,
     .reference = "workspace:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"seq\",\"at\",\"actor\",\"verb\"],\"properties\":{"
         "\"seq\":" RESOURCE_INTEGER ",\"at\":" RESOURCE_TIME_OR_NULL ",\"actor\":" RESOURCE_TEXT
         ",\"verb\":" RESOURCE_TEXT ",\"object\":" RESOURCE_TEXT ",\"detail\":{}}}"),
     .success = 200,
     .handler = audit_show},
};

void routes_records(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
