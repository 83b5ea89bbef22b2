/* Where every row went: the ledger. Also the audit. */
#include <stdlib.h>
#include <string.h>

#include "control/audit.h"
#include "flow/accounts.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

/* ---- ledger ---- */

static json_t *item_of(json_t *items, const char *store)
{
    size_t i;
    json_t *one;
    json_array_foreach(items, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "store")), store) == 0)
            return one;
    }
    one = json_pack("{s:s,s:i,s:i,s:i,s:i,s:i,s:i,s:b}", "store", store, "received", 0, "stored", 0,
                    "updated", 0, "duplicate", 0, "rejected", 0, "dropped", 0, "balanced", 1);
    json_array_append_new(items, one);
    return one;
}

/* What waits in the journal was received, and is nothing else yet. */
static void add_in_flight(http_request *r, json_t *items, const char *store)
{
    journal_backlog waiting = flow_backlog_of(r->services->flow, (int32_t)r->wid, store);
    if (!waiting.rows)
        return;
    json_t *one = item_of(items, store);
    json_int_t received = json_integer_value(json_object_get(one, "received"));
    json_object_set_new(one, "in_flight", json_integer((json_int_t)waiting.rows));
    json_object_set_new(one, "received", json_integer(received + (json_int_t)waiting.rows));
}

static json_t *ledger_items(http_request *r, const rows *found, bool open)
{
    size_t i;
    json_t *items = resource_rows_json(found, rows_count(found)), *one;
    json_array_foreach(items, i, one)
    {
        json_object_set_new(one, "balanced",
                            json_boolean(rows_boolean(found, (uint32_t)i, rows_find(found, "balanced"))));
        json_object_set_new(one, "in_flight", json_integer(0));
    }
    const flow_plan *plan = open ? flow_plan_of(r->services->flow, (int32_t)r->wid) : NULL;
    for (uint32_t k = 0; plan && k < plan->definition->n_datastores; k++)
        add_in_flight(r, items, plan->definition->datastores[k].object.key);
    if (plan)
        add_in_flight(r, items, JOURNAL_STORE_UNKNOWN);
    flow_plan_release(plan);
    return items;
}

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
        resource_list(r, ledger_items(r, found, to_us == 0), "store");
    else
        problem_answer(r, &st);
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
static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/ledger",
     .name = "ledger",
     .tag = "records",
     .summary = "Where the rows of each store went",
     .description =
         "received = stored + duplicate + rejected + dropped + in_flight, by the time of receipt, in minutes "
         "for 48 hours, then in hours; `balanced` says whether every one of them adds up. `updated` is part "
         "of "
         "stored, `purged` of dropped. Beside it: too_late (not computed), expired (removed by retention), "
         "letters (dead letters that are kept) with letter_bytes, unkept (rejected without a letter, because "
         "there were too many).",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(
         "{\"type\":\"object\",\"required\":[\"store\",\"received\",\"stored\"],\"properties\":{"
         "\"store\":" RESOURCE_TEXT ",\"received\":" RESOURCE_INTEGER ",\"stored\":" RESOURCE_INTEGER
         ",\"updated\":" RESOURCE_INTEGER ",\"duplicate\":" RESOURCE_INTEGER ",\"rejected\":" RESOURCE_INTEGER
         ",\"dropped\":" RESOURCE_INTEGER ",\"in_flight\":" RESOURCE_INTEGER
         ",\"balanced\":{\"type\":\"boolean\"},\"purged\":" RESOURCE_INTEGER ",\"too_late\":" RESOURCE_INTEGER
         ",\"expired\":" RESOURCE_INTEGER ",\"letters\":" RESOURCE_INTEGER
         ",\"letter_bytes\":" RESOURCE_INTEGER ",\"unkept\":" RESOURCE_INTEGER "}}"),
     .success = 200,
     .parameters = ledger_parameters,
     .n_parameters = 2,
     .handler = ledger_list},
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
