/* The host. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/audit.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

enum { AUDIT_WAIT_MS = 2000 };

/* ---- the host ---- */

static void system_show(http_request *r)
{
    status st;
    const services *s = r->services;
    bool ready = flow_ready(s->flow, &st);
    json_t *v = flow_host_status(s->flow);
    json_object_set_new(v, "state", json_string(ready ? "ready" : "degraded"));
    if (!ready) {
        json_object_set_new(v, "problem", json_string(st.text));
        json_object_set_new(v, "try", json_string(st.hint));
    }
    json_object_set_new(v, "version", json_string(s->version));
    json_object_set_new(v, "host", json_string(s->host_name));
    json_object_set_new(v, "stack", json_string(s->control->stack_id));
    json_object_set_new(v, "uptime_seconds", json_integer((clock_monotonic_us() - s->started_us) / 1000000));
    resource_answer(r, 200, v);
}

/* ---- a journal that is lost ---- */

static void write_audit(http_request *r, const flow_adoption *done)
{
    status st;
    connection *c;
    json_t *details = json_pack("{s:i,s:i}", "journals", (int)done->journals, "streams", (int)done->streams);
    status_class class = pool_borrow(r->services->control->control, NULL, AUDIT_WAIT_MS, &c, &st);
    if (class == STATUS_OK) {
        class = audit_add(c, 0, resource_actor(r), "adopt", "platform:journal", details, &st);
        pool_return(r->services->control->control, c);
    }
    if (class != STATUS_OK)
        log_status(LOG_LEVEL_ERROR, "serve", "the audit has no record of an adopted journal", &st);
    json_decref(details);
}

static void journal_adopt(http_request *r)
{
    status st;
    flow_adoption done;
    const char *confirm;
    const char *stack = r->services->control->stack_id;
    json_t *body = resource_body(r);
    if (!body)
        return;
    bool given = resource_text(r, body, "confirm", true, &confirm);
    if (given && !json_is_true(json_object_get(body, "accept_loss")))
        resource_refuse(r, "/accept_loss", "must be true: rows that were acknowledged are given up");
    else if (given && strcmp(confirm, stack) != 0)
        resource_refuse(r, "/confirm", "must be the id of this stack, %s", stack);
    else if (given && flow_adopt_journal(r->services->flow, &done, &st) != STATUS_OK)
        problem_answer(r, &st);
    else if (given) {
        write_audit(r, &done);
        resource_answer(r, 200,
                        json_pack("{s:i,s:i}", "journals", (int)done.journals, "streams", (int)done.streams));
    }
    json_decref(body);
}

/* ---- the table ---- */

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/system",
     .name = "system",
     .tag = "system",
     .summary = "How this host is: journal, writers, plugin instances",
     .verb = VERB_READ,
     .reference = "platform:system",
     .where = ROUTE_ON_LANE,
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"state\",\"version\",\"uptime_seconds\"],\"properties\":{"
         "\"state\":{\"enum\":[\"ready\",\"degraded\"]},\"problem\":" RESOURCE_TEXT ",\"try\":" RESOURCE_TEXT
         ",\"version\":" RESOURCE_TEXT ",\"host\":" RESOURCE_TEXT ",\"stack\":" RESOURCE_TEXT
         ",\"uptime_seconds\":" RESOURCE_INTEGER ",\"journal\":{\"type\":\"object\"},\"writers\":{"
         "\"type\":\"object\"},\"ledgers_wrong\":" RESOURCE_INTEGER ",\"workspaces\":" RESOURCE_INTEGER
         ",\"workspaces_resting\":" RESOURCE_INTEGER ",\"instances\":{\"type\":\"array\"}}}",
     .success = 200,
     .handler = system_show},
    {.method = HTTP_POST,
     .path = "/api/v1/system/journal:adopt",
     .name = "journal_adopt",
     .tag = "system",
     .summary = "Accept that rows of a missing journal are lost, and go on",
     .verb = VERB_ADMIN,
     .reference = "platform:system",
     .where = ROUTE_ON_LANE,
     .body_limit = 4096,
     .request_schema = "{\"type\":\"object\",\"required\":[\"accept_loss\",\"confirm\"],"
                       "\"additionalProperties\":false,\"properties\":{\"accept_loss\":{\"const\":true},"
                       "\"confirm\":" RESOURCE_TEXT "}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"journals\",\"streams\"],\"properties\":{"
                        "\"journals\":" RESOURCE_INTEGER ",\"streams\":" RESOURCE_INTEGER "}}",
     .success = 200,
     .handler = journal_adopt},
};

void routes_system(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
