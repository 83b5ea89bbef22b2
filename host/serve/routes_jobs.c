/* Jobs: long work, one at a time or the newest of all, as far as the key may see. */
#include <string.h>

#include "control/job.h"
#include "serve/auth.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"

enum { JOBS_SHOWN = 500 };

/* The control plane's words → those of the API. */
static const char *state_word(const char *state)
{
    static const struct {
        const char *kept, *shown;
    } words[] = {{"ready", "queued"}, {"claimed", "running"}, {"done", "succeeded"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].kept, state) == 0)
            return words[i].shown;
    return state; /* failed, cancelled */
}

static json_t *job_form(json_t *job)
{
    const char *state = json_string_value(json_object_get(job, "state")),
               *error = json_string_value(json_object_get(job, "error"));
    json_t *problem =
        error ? json_pack("{s:s, s:s}", "title", "the job failed", "detail", error) : json_null();
    json_t *out = json_pack("{s:O, s:O, s:O, s:s, s:{s:O?, s:O?}, s:O?, s:o, s:O?, s:O?}", "id",
                            json_object_get(job, "id"), "wid", json_object_get(job, "wid"), "kind",
                            json_object_get(job, "kind"), "state", state_word(state ? state : ""), "progress",
                            "done", json_object_get(job, "done"), "total", json_object_get(job, "total"),
                            "result", json_object_get(job, "result"), "error", problem, "created",
                            json_object_get(job, "created"), "finished", json_object_get(job, "finished"));
    return out;
}

static bool seen_by(const http_request *r, const json_t *job)
{
    return auth_sees(r->who, json_integer_value(json_object_get(job, "wid")));
}

static void jobs_list(http_request *r)
{
    status st;
    json_t *all = NULL, *items = json_array(), *job;
    size_t i;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = job_list(c, 0, JOBS_SHOWN, &all, &st);
    pool_return(r->services->control->control, c);
    json_array_foreach(all, i, job) if (seen_by(r, job)) json_array_append_new(items, job_form(job));
    json_decref(all);
    if (class == STATUS_OK) {
        resource_list(r, items, "id");
    } else {
        json_decref(items);
        problem_answer(r, &st);
    }
}

static void jobs_show(http_request *r)
{
    status st;
    json_t *job = NULL;
    connection *c = resource_control(r);
    if (!c)
        return;
    status_class class = job_show(c, http_request_param(r, "j"), &job, &st);
    pool_return(r->services->control->control, c);
    if (class == STATUS_OK && !seen_by(r, job))
        class = status_set(&st, STATUS_NOT_FOUND, "there is no such job");
    if (class == STATUS_OK)
        resource_answer(r, 200, job_form(job));
    else
        problem_answer(r, &st);
    json_decref(job);
}

#define JOB_SCHEMA                                                                                        \
    "{\"type\":\"object\",\"required\":[\"id\",\"kind\",\"state\"],\"properties\":{\"id\":" RESOURCE_TEXT \
    ",\"kind\":" RESOURCE_TEXT                                                                            \
    ",\"state\":{\"enum\":[\"queued\",\"running\",\"succeeded\",\"failed\",\"cancelled\"]},"              \
    "\"progress\":{\"type\":\"object\"},\"created\":" RESOURCE_TEXT_OR_NULL                               \
    ",\"finished\":" RESOURCE_TEXT_OR_NULL "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/jobs",
     .name = "jobs_list",
     .tag = "jobs",
     .summary = "Long work, newest first",
     .verb = VERB_READ,
     .reference = "platform:*",
     .flags = ROUTE_LIST | ROUTE_ANY_KEY,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(JOB_SCHEMA),
     .success = 200,
     .handler = jobs_list},
    {.method = HTTP_GET,
     .path = "/api/v1/jobs/{j}",
     .name = "jobs_show",
     .tag = "jobs",
     .summary = "One job: its state, result or error",
     .verb = VERB_READ,
     .reference = "platform:*",
     .flags = ROUTE_ANY_KEY,
     .where = ROUTE_ON_LANE,
     .response_schema = JOB_SCHEMA,
     .success = 200,
     .handler = jobs_show},
};

void routes_jobs(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
