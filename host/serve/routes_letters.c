/* Dead letters over HTTP: listed, shown, corrected, sent again, thrown away. What changes them stands in the
 * audit. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/relative_time.h"
#include "flow/letter_replay.h"
#include "serve/auth.h"
#include "serve/negotiate.h"
#include "serve/problem.h"
#include "serve/resource.h"
#include "serve/resources.h"
#include "serve/row_request.h"

enum { ID_LENGTH = 26 };

/* ---- list ---- */

static void letters_list_answer(http_request *r)
{
    page_request page;
    rows *found = NULL;
    status st;
    letter_filter f = {.store = http_request_query(r, "filter[store]"),
                       .code = http_request_query(r, "filter[code]")};
    if (!page_request_read(r, &page) || !resource_time(r, "from", &f.from_us) ||
        !resource_time(r, "to", &f.to_us))
        return;
    pool *p = r->services->control->data;
    connection *c = resource_data(r);
    if (!c)
        return;
    status_class class = letters_list(c, (int32_t)r->wid, &f, page.after, page.limit + 1, &found, &st);
    pool_return(p, c);
    if (class == STATUS_OK) {
        bool more = rows_count(found) > page.limit;
        resource_page(r, resource_rows_json(found, more ? page.limit : rows_count(found)),
                      more ? rows_text(found, page.limit - 1, 0) : NULL);
    } else {
        problem_answer(r, &st);
    }
    rows_free(found);
}

/* ---- show ---- */

/* Bytes as they came: text when they are, else base64. */
static void set_bytes(json_t *to, const char *name, const rows *found, arena *a)
{
    size_t len = 0;
    int col = rows_find(found, name);
    const uint8_t *bytes = col < 0 ? NULL : rows_bytes(found, 0, (uint32_t)col, a, &len);
    json_object_del(to, name);
    if (!bytes)
        return;
    json_t *plain = json_stringn((const char *)bytes, len);
    if (plain) {
        json_object_set_new(to, name, plain);
        return;
    }
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *coded = arena_alloc(a, size);
    sodium_bin2base64(coded, size, bytes, len, sodium_base64_VARIANT_ORIGINAL);
    json_object_set_new(to, arena_printf(a, "%s_base64", name), json_string(coded));
}

/* NULL: answered. */
static json_t *letter_form(http_request *r, connection *c)
{
    rows *found = NULL;
    status st;
    json_t *v = NULL;
    const char *id = http_request_param(r, "id");
    status_class class = letters_show(c, (int32_t)r->wid, id, &found, &st);
    if (class != STATUS_OK) {
        problem_answer(r, &st);
    } else if (rows_count(found) == 0) {
        resource_missing(r, "dead letter", id);
    } else {
        v = resource_row_json(found, 0);
        set_bytes(v, "body", found, r->arena);
        set_bytes(v, "header", found, r->arena);
        set_bytes(v, "correction", found, r->arena);
    }
    rows_free(found);
    return v;
}

static void letter_show(http_request *r)
{
    pool *p = r->services->control->data;
    connection *c = resource_data(r);
    json_t *v = c ? letter_form(r, c) : NULL;
    pool_return(p, c);
    if (v)
        resource_answer(r, 200, v);
}

/* ---- changes ---- */

/* True: written. Else answered. */
static bool fix(http_request *r, connection *c, const json_t *old)
{
    char tag[32];
    status st;
    const char *id = http_request_param(r, "id");
    int64_t revision = json_integer_value(json_object_get(old, "revision"));
    resource_tag(old, tag);
    if (!etag_check(r, tag))
        return false;
    status_class class =
        letters_fix(c, (int32_t)r->wid, id, revision, r->body, r->body_len, resource_actor(r), &st);
    if (class == STATUS_LIMIT)
        problem_answer_as(r, 413, &st);
    else if (class != STATUS_OK)
        problem_answer(r, &st);
    return class == STATUS_OK;
}

static void letter_fix(http_request *r)
{
    pool *p = r->services->control->data;
    json_t *corrected = resource_body(r);
    connection *c = corrected ? resource_data(r) : NULL;
    json_t *old = c ? letter_form(r, c) : NULL, *now = NULL;
    if (old && fix(r, c, old))
        now = letter_form(r, c);
    pool_return(p, c);
    if (now) {
        resource_audit(r, "fix", "dead-letter", json_pack("{s:s}", "id", http_request_param(r, "id")));
        resource_answer(r, 200, now);
    }
    json_decref(old);
    json_decref(corrected);
}

static bool read_ids(http_request *r, const json_t *ids, letter_filter *out)
{
    size_t i;
    json_t *one;
    const char **list = arena_zero(r->arena, json_array_size(ids) + 1, sizeof *list);
    json_array_foreach((json_t *)ids, i, one)
    {
        if (json_string_length(one) != ID_LENGTH) {
            resource_refuse(r, "/ids", "each is the id of a dead letter, %d characters", ID_LENGTH);
            return false;
        }
        list[i] = arena_string(r->arena, json_string_value(one));
    }
    out->ids = list;
    out->n_ids = json_array_size(ids);
    return true;
}

static bool read_time(http_request *r, const json_t *filter, const char *name, int64_t *out)
{
    const char *word = json_string_value(json_object_get(filter, name));
    if (!word || relative_time_parse(word, clock_wall_us(), out))
        return true;
    resource_refuse(r, arena_printf(r->arena, "/filter/%s", name),
                    "is a time: 2026-01-02T03:04:05Z, now, now-24h");
    return false;
}

/* {ids} or {filter}: everything is `filter: {}`, so that nobody sends or throws away all by leaving it out.
 */
static bool read_filter(http_request *r, const json_t *body, letter_filter *out)
{
    const json_t *ids = json_object_get(body, "ids"), *filter = json_object_get(body, "filter");
    *out = (letter_filter){0};
    if (!ids == !filter) {
        resource_refuse(r, "", "give either ids or a filter ({} is all of them)");
        return false;
    }
    if (ids)
        return read_ids(r, ids, out);
    const char *store = json_string_value(json_object_get(filter, "store"));
    const char *code = json_string_value(json_object_get(filter, "code"));
    out->store = store ? arena_string(r->arena, store) : NULL;
    out->code = code ? arena_string(r->arena, code) : NULL;
    return read_time(r, filter, "from", &out->from_us) && read_time(r, filter, "to", &out->to_us);
}

/* ---- replay ---- */

static json_t *replay_json(const letter_replay_result *done)
{
    json_t *notes = json_array();
    for (uint32_t i = 0; i < done->n_notes; i++)
        json_array_append_new(notes, json_pack("{s:s,s:s,s:s}", "id", done->notes[i].id, "code",
                                               done->notes[i].code, "detail", done->notes[i].detail));
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:o,s:s?}", "matched", (int)done->matched, "stored",
                     (int)done->stored, "duplicate", (int)done->duplicate, "rejected", (int)done->rejected,
                     "gone", (int)done->gone, "waiting", (int)done->waiting, "failed", (int)done->failed,
                     "errors", notes, "next", done->last);
}

static void replay(http_request *r, const letter_filter *filter, const char *after, uint32_t limit)
{
    status st;
    letter_replay_result done;
    pool *p = r->services->control->data;
    const flow_plan *plan = resource_plan(r);
    connection *c = plan ? resource_data(r) : NULL;
    if (c) {
        letter_replay order = {.plan = plan,
                               .intake = flow_intake(r->services->flow),
                               .c = c,
                               .filter = filter,
                               .after = after,
                               .request = r->id,
                               .limit = limit,
                               .wait_us = ROW_REQUEST_WAIT_US};
        status_class class = letter_replay_run(&order, r->arena, &done, &st);
        pool_return(p, c);
        if (class != STATUS_OK) {
            problem_answer(r, &st);
        } else {
            resource_audit(r, "replay", "dead-letter",
                           json_pack("{s:i,s:i,s:i}", "matched", (int)done.matched, "stored",
                                     (int)done.stored, "rejected", (int)done.rejected));
            resource_answer(r, 200, replay_json(&done));
        }
    }
    flow_plan_release(plan);
}

static void letters_replay(http_request *r)
{
    letter_filter filter;
    json_t *body = resource_body(r);
    if (!body)
        return;
    const char *after = json_string_value(json_object_get(body, "after"));
    json_int_t limit = json_integer_value(json_object_get(body, "limit"));
    if (directory_paused(r->services->directory, (int32_t)r->wid))
        problem_answer_text(r, 409, "the workspace is paused: it takes no rows");
    else if (read_filter(r, body, &filter))
        replay(r, &filter, after,
               limit > 0 && limit < LETTER_REPLAY_MAX ? (uint32_t)limit : LETTER_REPLAY_MAX);
    json_decref(body);
}

/* ---- purge ---- */

static bool is_confirmed(http_request *r, const json_t *body)
{
    const char *confirm = json_string_value(json_object_get(body, "confirm"));
    const flow_plan *plan = resource_plan(r);
    if (!plan)
        return false;
    const char *key = arena_string(r->arena, plan->definition->workspace);
    flow_plan_release(plan);
    if (confirm && strcmp(confirm, key) == 0)
        return true;
    resource_refuse(r, "/confirm", "must be the workspace's key, %s: the rows are gone for good", key);
    return false;
}

static void letters_purge_answer(http_request *r)
{
    letter_filter filter;
    status st;
    int64_t n = 0;
    pool *p = r->services->control->data;
    json_t *body = resource_body(r);
    connection *c = body && is_confirmed(r, body) && read_filter(r, body, &filter) ? resource_data(r) : NULL;
    if (c) {
        status_class class = letters_purge(c, (int32_t)r->wid, &filter, &n, &st);
        pool_return(p, c);
        if (class != STATUS_OK) {
            problem_answer(r, &st);
        } else {
            flow_letters_purged(r->services->flow, (int32_t)r->wid);
            resource_audit(r, "purge", "dead-letter", json_pack("{s:I}", "purged", (json_int_t)n));
            resource_answer(r, 200,
                            json_pack("{s:I,s:b}", "purged", (json_int_t)n, "more", n == LETTERS_PURGE_MAX));
        }
    }
    json_decref(body);
}

/* ---- the table ---- */

static const route_parameter list_parameters[] = {
    {"filter[store]", NULL, "Only of this store, or of this stage (model:judge)"},
    {"filter[code]", NULL, "Only with this reason"},
    {"from", NULL, "Time of receipt from which on"},
    {"to", NULL, "Time of receipt before which"}};

#define LETTER_MEMBERS                                                             \
    "\"id\":" RESOURCE_TEXT ",\"store\":" RESOURCE_TEXT ",\"code\":" RESOURCE_TEXT \
    ",\"pointer\":" RESOURCE_TEXT_OR_NULL ",\"detail\":" RESOURCE_TEXT_OR_NULL     \
    ",\"received\":" RESOURCE_TIME_OR_NULL ",\"origin\":" RESOURCE_TEXT_OR_NULL    \
    ",\"request\":" RESOURCE_TEXT_OR_NULL ",\"form\":" RESOURCE_TEXT_OR_NULL       \
    ",\"attempts\":" RESOURCE_INTEGER ",\"signal\":" RESOURCE_TEXT_OR_NULL         \
    ",\"tried\":" RESOURCE_TIME_OR_NULL ",\"fixed\":" RESOURCE_TIME_OR_NULL        \
    ",\"fixed_by\":" RESOURCE_TEXT_OR_NULL
#define LETTER_SCHEMA \
    "{\"type\":\"object\",\"required\":[\"id\",\"store\",\"code\"],\"properties\":{" LETTER_MEMBERS "}}"
#define LETTER_SHOWN_SCHEMA                                                                      \
    "{\"type\":\"object\",\"required\":[\"id\",\"store\",\"code\",\"revision\"],\"properties\":" \
    "{" LETTER_MEMBERS ",\"revision\":" RESOURCE_INTEGER ",\"body\":" RESOURCE_TEXT              \
    ",\"body_base64\":" RESOURCE_TEXT ",\"header\":" RESOURCE_TEXT ",\"correction\":" RESOURCE_TEXT "}}"
#define CHOICE                                                                              \
    "\"ids\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1000,\"items\":" RESOURCE_TEXT \
    "},\"filter\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"     \
    "\"store\":" RESOURCE_TEXT ",\"code\":" RESOURCE_TEXT ",\"from\":" RESOURCE_TEXT        \
    ",\"to\":" RESOURCE_TEXT "}}"

static const route table[] = {
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/dead-letters",
     .name = "dead_letters",
     .tag = "records",
     .summary = "Rows that could not go on, and why, newest first",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .flags = ROUTE_LIST,
     .where = ROUTE_ON_LANE,
     .response_schema = RESOURCE_LIST_SCHEMA(LETTER_SCHEMA),
     .success = 200,
     .parameters = list_parameters,
     .n_parameters = sizeof list_parameters / sizeof *list_parameters,
     .handler = letters_list_answer},
    {.method = HTTP_GET,
     .path = "/api/v1/workspaces/{ws}/dead-letters/{id}",
     .name = "dead_letter",
     .tag = "records",
     .summary = "One of them with its bytes and its correction",
     .verb = VERB_READ,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .response_schema = LETTER_SHOWN_SCHEMA,
     .success = 200,
     .handler = letter_show},
    {.method = HTTP_PUT,
     .path = "/api/v1/workspaces/{ws}/dead-letters/{id}",
     .name = "dead_letter_fix",
     .tag = "records",
     .summary = "Correct a dead letter: the row as it should have been",
     .description = "One JSON object. It is sent instead of the bytes that came, which are kept beside it.",
     .verb = VERB_WRITE,
     .reference = "datastore:*",
     .flags = ROUTE_IF_MATCH,
     .where = ROUTE_ON_LANE,
     .body_limit = 1 << 20,
     .request_schema = "{\"type\":\"object\"}",
     .response_schema = LETTER_SHOWN_SCHEMA,
     .success = 200,
     .handler = letter_fix},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/dead-letters:replay",
     .name = "dead_letters_replay",
     .tag = "records",
     .summary = "Send dead letters again, oldest first, by the definition of now",
     .description =
         "At most 500 of one call; `next` is the `after` of the following one, null when these were all. A "
         "letter whose row is stored, or is there already, is gone; one that is refused again stays with the "
         "new reason and one more attempt. `gone`: it was dealt with meanwhile. `waiting`: durable in the "
         "journal, not yet written.",
     .verb = VERB_WRITE,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .body_limit = 1 << 16,
     .request_schema = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" CHOICE
                       ",\"after\":" RESOURCE_TEXT ",\"limit\":{\"type\":\"integer\",\"minimum\":1,"
                       "\"maximum\":500}}}",
     .response_schema =
         "{\"type\":\"object\",\"required\":[\"matched\",\"stored\",\"duplicate\",\"rejected\",\"next\"],"
         "\"properties\":{\"matched\":" RESOURCE_INTEGER ",\"stored\":" RESOURCE_INTEGER
         ",\"duplicate\":" RESOURCE_INTEGER ",\"rejected\":" RESOURCE_INTEGER ",\"gone\":" RESOURCE_INTEGER
         ",\"waiting\":" RESOURCE_INTEGER ",\"failed\":" RESOURCE_INTEGER
         ",\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
         "\"id\":" RESOURCE_TEXT ",\"code\":" RESOURCE_TEXT ",\"detail\":" RESOURCE_TEXT
         "}}},\"next\":" RESOURCE_TEXT_OR_NULL "}}",
     .success = 200,
     .handler = letters_replay},
    {.method = HTTP_POST,
     .path = "/api/v1/workspaces/{ws}/dead-letters:purge",
     .name = "dead_letters_purge",
     .tag = "records",
     .summary = "Throw dead letters away; the ledger counts their rows as dropped (purged)",
     .description = "At most 10,000 of one call, oldest first; `more` says that there may be others.",
     .verb = VERB_DELETE,
     .reference = "datastore:*",
     .where = ROUTE_ON_LANE,
     .body_limit = 1 << 16,
     .request_schema = "{\"type\":\"object\",\"required\":[\"confirm\"],\"additionalProperties\":false,"
                       "\"properties\":{" CHOICE ",\"confirm\":" RESOURCE_TEXT "}}",
     .response_schema = "{\"type\":\"object\",\"required\":[\"purged\",\"more\"],\"properties\":{"
                        "\"purged\":" RESOURCE_INTEGER ",\"more\":{\"type\":\"boolean\"}}}",
     .success = 200,
     .handler = letters_purge_answer},
};

void routes_letters(route_table *t)
{
    route_table_add(t, table, sizeof table / sizeof *table);
}
