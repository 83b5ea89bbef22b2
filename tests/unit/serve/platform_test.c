/* The resources of the control plane over sockets, on a real PostgreSQL: from an empty stack with its first
 * key to a workspace that is changed by plans and deleted. */
#include "api_fixture.h"

#include <stdio.h>

#include "base/disk.h"
#include "control/alert_state.h"
#include "control/delivery.h"
#include "control/key.h"
#include "control/model_version.h"
#include "serve/access.h"
#include "serve/job_desk.h"
#include "store/migrations.h"
#include "store/roles.h"
#include "support/cluster.h"

#define ONCE(n) "Idempotency-Key: " n "\r\n"

static control plane;
static secret_key *master;
static char *state_folder, admin_header[128];

static pool *make_pool(const char *database)
{
    connection_options o = test_options(database);
    o.user = "service";
    o.password = "secret";
    return pool_create(&(pool_options){.base = o});
}

static void prepare(const char *name, migration_plane which, connection *root)
{
    status st;
    OK(roles_database_create(root, name, "service", &st));
    connection *c = test_connect(name);
    OK(roles_database_close(c, name, "service", &st));
    connection_close(c);
    c = test_connect_as(name, "service", "secret");
    OK(migrations_run(c, which, NULL, &st));
    connection_close(c);
}

static void make_admin_key(void)
{
    char path[512];
    text key = {0};
    bool made;
    status st;
    connection *c = NULL;
    snprintf(path, sizeof path, "%s/admin.key", state_folder);
    OK(pool_borrow(plane.control, NULL, 5000, &c, &st));
    OK(key_ensure_admin(c, path, &made, &st));
    pool_return(plane.control, c);
    OK(disk_read(path, 200, &key, &st));
    snprintf(admin_header, sizeof admin_header, "Authorization: Bearer %.*s\r\n",
             (int)strcspn(key.data, "\n"), key.data);
    text_free(&key);
}

static int set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    memset(&f, 0, sizeof f);
    connection *root = test_connect("postgres");
    OK(roles_service_create(root, "service", "secret", &st));
    prepare("plane_control", MIGRATION_CONTROL, root);
    prepare("plane_data", MIGRATION_DATA, root);
    connection_close(root);
    state_folder = test_folder();
    OK(secret_key_open(state_folder, &master, &st));
    plane = (control){.control = make_pool("plane_control"), .data = make_pool("plane_data"), .key = master};
    OK(control_identify(&plane, &st));
    make_admin_key();
    f.key_header = admin_header;
    f.services = (services){.control = &plane,
                            .directory = directory_create(),
                            .hooks = hook_book_create(),
                            .version = "1.2.3",
                            .host_name = "test"};
    auth_source auth = access_auth(&f.services);
    idempotency_store kept = access_idempotency(&f.services);
    if (!make_journal(&st) || !serve(&auth, &kept, &st))
        return -1;
    f.services.jobs = job_desk_create(&f.services, f.pool);
    return start();
}

static int tear_down(void **state)
{
    (void)state;
    if (f.loop)
        stop();
    pool_free(plane.control);
    pool_free(plane.data);
    secret_key_free(master);
    if (state_folder)
        test_folder_remove(state_folder);
    test_cluster_stop();
    return 0;
}

#define ALERTS                                                                                          \
    "metrics:\n  m: {value: v, sql: 'SELECT device, v FROM datastore:d'}\n"                             \
    "notifiers: {ops: {plugin: a.b, config: {}}}\n"                                                     \
    "alerts:\n  high: {title: \"Too \\\"high\\\"\", metric: m, condition: {fire_at: '> 5'}, severity: " \
    "critical, notify: "                                                                                \
    "[ops]}\n"

#define TEMPLATE(version, column)                                                                            \
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: pumps, version: " version ", title: Pumps}\n"  \
    "datastores:\n  d:\n    schema: {type: object, required: [time, device], additionalProperties: false, "  \
    "properties: {time: {type: string, format: date-time}, device: {type: string}, v: {type: number}" column \
    "}}\n    time: time\n    entity: [device]\n    unique: [device, time]\n    partition: none\n"

#define YAML "Content-Type: application/yaml\r\n"

static void make_workspace(text *out)
{
    static bool made;
    if (made)
        return;
    made = true;
    assert_int_equal(ask("POST /api/v1/templates", YAML, TEMPLATE("1.0.0", ""), out), 201);
    assert_int_equal(
        ask("POST /api/v1/workspaces", ONCE("w1"), "{\"key\":\"acme\",\"template\":\"pumps\"}", out), 201);
}

static void a_template_is_checked_stored_and_shown(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    assert_int_equal(ask("POST /api/v1/templates:validate", YAML, TEMPLATE("1.0.0", ""), &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"valid\":true"));
    assert_int_equal(
        ask("POST /api/v1/templates:validate", YAML, "apiVersion: penstock/v1\nkind: Template\n", &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"valid\":false"));
    assert_int_equal(ask("POST /api/v1/templates", YAML, "apiVersion: penstock/v1\nkind: Template\n", &out),
                     422);
    assert_int_equal(ask("POST /api/v1/templates", YAML, "a: [1\nb: 2", &out), 400);
    assert_non_null(strstr(raw_body(&out), "\"pointer\":\"template.yaml:"));
    make_workspace(&out);
    assert_int_equal(ask("POST /api/v1/templates", YAML, TEMPLATE("1.0.0", ""), &out), 201); /* the same */
    assert_int_equal(ask("POST /api/v1/templates", YAML, TEMPLATE("1.0.0", ", w: {type: number}"), &out),
                     409);
    assert_int_equal(ask("GET /api/v1/templates", "", NULL, &out), 200);
    json_t *v = document_of(&out), *item = json_array_get(json_object_get(v, "items"), 0);
    assert_string_equal(word(item, "key"), "pumps");
    assert_string_equal(word(item, "title"), "Pumps");
    assert_int_equal(number(item, "workspaces"), 1);
    json_decref(v);
    assert_int_equal(ask("GET /api/v1/templates/pumps", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/templates/pumps/versions", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/templates/pumps/versions/1.0.0", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/templates/pumps/versions/9.0.0", "", NULL, &out), 404);
    assert_int_equal(ask("GET /api/v1/templates/nothing", "", NULL, &out), 404);
    text_free(&out);
}

static void a_workspace_is_made_once(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    make_workspace(&out);
    unsigned puts = calls.puts;
    const char *order = "{\"key\":\"acme\",\"template\":\"pumps\"}";
    assert_int_equal(ask("POST /api/v1/workspaces", ONCE("w1"), order, &out), 201); /* the kept answer */
    assert_non_null(strstr(out.data, "Idempotency-Replayed"));
    assert_int_equal(calls.puts, puts);
    assert_int_equal(ask("POST /api/v1/workspaces", ONCE("w2"), order, &out), 409);
    assert_int_equal(
        ask("POST /api/v1/workspaces", ONCE("w1"), "{\"key\":\"other\",\"template\":\"pumps\"}", &out), 422);
    assert_int_equal(ask("POST /api/v1/workspaces", "", order, &out), 400);
    assert_int_equal(
        ask("POST /api/v1/workspaces", ONCE("w3"), "{\"key\":\"No Slug\",\"template\":\"pumps\"}", &out),
        422);
    assert_non_null(strstr(raw_body(&out), "\"pointer\":\"/key\""));
    assert_int_equal(
        ask("POST /api/v1/workspaces", ONCE("w4"), "{\"key\":\"b\",\"template\":\"none\"}", &out), 422);
    assert_non_null(strstr(raw_body(&out), "\"pointer\":\"/template\""));
    assert_int_equal(ask("GET /api/v1/workspaces", "", NULL, &out), 200);
    json_t *v = document_of(&out), *item = json_array_get(json_object_get(v, "items"), 0);
    assert_int_equal(json_array_size(json_object_get(v, "items")), 1);
    assert_string_equal(word(item, "key"), "acme");
    assert_string_equal(word(item, "state"), "active");
    char line[200];
    snprintf(line, sizeof line, "GET /api/v1/workspaces/%s", word(item, "id"));
    json_decref(v);
    assert_int_equal(ask(line, "", NULL, &out), 200); /* by its id, too */
    text_free(&out);
}

static void a_workspace_is_paused_and_resumed(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    make_workspace(&out);
    assert_int_equal(ask("POST /api/v1/workspaces/acme:pause", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"state\":\"paused\""));
    assert_true(calls.paused);
    assert_true(directory_paused(f.services.directory, calls.wid));
    assert_int_equal(ask("POST /api/v1/workspaces/acme:resume", "", NULL, &out), 200);
    assert_false(directory_paused(f.services.directory, calls.wid));
    text_free(&out);
}

/* A request body {"template": …} from YAML. */
static char *plan_body(const char *yaml, const char *workspace, bool all)
{
    yaml_tree *t = NULL;
    status st;
    OK(yaml_tree_parse("t.yaml", yaml, strlen(yaml), &t, &st));
    json_t *body = json_pack("{s:O,s:b}", "template", yaml_tree_root(t), "all", all);
    if (workspace)
        json_object_set_new(body, "workspace", json_string(workspace));
    char *s = json_dumps(body, 0);
    json_decref(body);
    yaml_tree_free(t);
    return s;
}

static int plan(const char *version, char *body, char id[64], json_t **document, text *out)
{
    char line[200];
    snprintf(line, sizeof line, "POST /api/v1/templates/pumps/versions/%s:plan", version);
    int code = ask(line, "", body, out);
    free(body);
    *document = document_of(out);
    snprintf(id, 64, "%s", word(*document, "id"));
    return code;
}

static void a_plan_brings_a_workspace_to_a_new_version(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char id[64], line[200];
    json_t *v;
    make_workspace(&out);
    char *body = plan_body(TEMPLATE("1.1.0", ", w: {type: number}") ALERTS, NULL, true);
    assert_int_equal(plan("1.1.0", body, id, &v, &out), 200);
    json_t *changes = json_object_get(v, "changes");
    assert_int_equal(json_array_size(changes), 5); /* version, datastore, metric, notifier, alert */
    assert_string_equal(word(json_array_get(changes, 0), "object"), "template:pumps");
    assert_string_equal(word(json_array_get(changes, 1), "object"), "acme/datastore:d");
    assert_string_equal(word(json_array_get(changes, 1), "op"), "~");
    json_decref(v);
    assert_int_equal(ask("GET /api/v1/templates/pumps/versions/1.1.0", "", NULL, &out),
                     404); /* nothing yet */
    snprintf(line, sizeof line, "GET /api/v1/plans/%s", id);
    assert_int_equal(ask(line, "", NULL, &out), 200);
    snprintf(line, sizeof line, "POST /api/v1/plans/%s:apply", id);
    assert_int_equal(ask(line, ONCE("p1"), NULL, &out), 200);
    assert_int_equal(ask(line, ONCE("p2"), NULL, &out), 409);
    assert_int_equal(ask("GET /api/v1/workspaces/acme", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"version\":\"1.1.0\""));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/datastores/d", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"name\":\"w\"")); /* the flow has the new definition */
    text_free(&out);
}

static void a_plan_is_stale_once_the_workspace_moved(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char id[64], first[64], line[200];
    json_t *v;
    make_workspace(&out);
    const char *later = TEMPLATE("1.2.0", ", w: {type: number}, x: {type: number}") ALERTS;
    assert_int_equal(plan("1.2.0", plan_body(later, "acme", false), first, &v, &out), 200);
    json_decref(v);
    assert_int_equal(plan("1.2.0", plan_body(later, "acme", false), id, &v, &out), 200);
    json_decref(v);
    snprintf(line, sizeof line, "POST /api/v1/plans/%s:apply", id);
    assert_int_equal(ask(line, ONCE("s1"), NULL, &out), 200);
    snprintf(line, sizeof line, "POST /api/v1/plans/%s:apply", first);
    assert_int_equal(ask(line, ONCE("s2"), NULL, &out), 409);
    text_free(&out);
}

static void a_bad_template_is_refused_with_pointers(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char id[64];
    json_t *v;
    make_workspace(&out);
    char *body =
        plan_body(TEMPLATE("2.0.0", "") "metrics:\n  m: {value: v, sql: 'SELECT v FROM datastore:none'}\n",
                  NULL, false);
    assert_int_equal(plan("2.0.0", body, id, &v, &out), 422);
    const char *pointer = word(json_array_get(json_object_get(v, "errors"), 0), "pointer");
    assert_int_equal(strncmp(pointer, "/template/metrics/m", 19), 0);
    json_decref(v);
    assert_int_equal(plan("3.0.0", plan_body(TEMPLATE("2.0.0", ""), NULL, false), id, &v, &out), 422);
    json_decref(v);
    text_free(&out);
}

static void get_tag(const char *line, char head[128], text *out)
{
    assert_int_equal(ask(line, "", NULL, out), 200);
    const char *tag = strstr(out->data, "ETag: ") + 6;
    snprintf(head, 128, "If-Match: %.*s\r\n", (int)strcspn(tag, "\r"), tag);
}

static void the_local_layer_adds(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char head[128];
    make_workspace(&out);
    const char *layer = "{\"apiVersion\":\"penstock/"
                        "v1\",\"kind\":\"LocalLayer\",\"metrics\":{\"mine\":{\"value\":\"v\",\"sql\":"
                        "\"SELECT device, v FROM datastore:d\"}}}";
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/local", "", layer, &out), 428);
    get_tag("GET /api/v1/workspaces/acme/local", head, &out);
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/local", head,
                         "{\"apiVersion\":\"penstock/v1\",\"kind\":\"LocalLayer\",\"metrics\":{\"mine\":{}}}",
                         &out),
                     422);
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/local", head, layer, &out), 200);
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/local", head, layer, &out), 412);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/metrics/mine", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"origin\":\"local\""));
    text_free(&out);
}

/* ---- keys and secrets ---- */

static void a_key_may_what_its_scopes_say(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char header[128], line[128];
    make_workspace(&out);
    assert_int_equal(ask("POST /api/v1/api-keys", "",
                         "{\"name\":\"c\",\"scopes\":[\"read:datastore:d\"],\"workspace\":\"acme\"}", &out),
                     201);
    json_t *v = document_of(&out);
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", word(v, "key"));
    snprintf(line, sizeof line, "DELETE /api/v1/api-keys/%s", word(v, "id"));
    json_decref(v);
    f.key_header = header;
    assert_int_equal(ask("GET /api/v1/workspaces/acme/datastores/d", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/metrics", "", NULL, &out), 403);
    assert_int_equal(ask("GET /api/v1/api-keys", "", NULL, &out), 403);
    assert_int_equal(ask("GET /api/v1/workspaces", "", NULL, &out), 200);
    f.key_header = admin_header;
    assert_int_equal(ask("GET /api/v1/api-keys", "", NULL, &out), 200);
    assert_null(strstr(raw_body(&out), "psk_"));
    assert_int_equal(ask(line, "", NULL, &out), 204);
    assert_int_equal(ask(line, "", NULL, &out), 404);
    f.key_header = header;
    assert_int_equal(ask("GET /api/v1/workspaces/acme/datastores/d", "", NULL, &out), 401);
    f.key_header = admin_header;
    text_free(&out);
}

static void bad_keys_are_not_made(void **state)
{
    (void)state;
    NEED_CLUSTER();
    static const char *const bodies[] = {
        "{\"name\":\"c\"}",
        "{\"name\":\"c\",\"scopes\":[]}",
        "{\"name\":\"c\",\"scopes\":[\"fly:datastore:d\"]}",
        "{\"name\":\"c\",\"scopes\":[\":datastore:d\"]}",
        "{\"name\":\"c\",\"scopes\":[5]}",
        "{\"scopes\":[\"read:*\"]}",
        "{\"name\":\"c\",\"scopes\":[\"read:*\"],\"workspace\":\"none\"}",
        "{\"name\":\"c\",\"scopes\":[\"read:*\"],\"expires\":\"2001-01-01T00:00:00Z\"}"};
    text out = {0};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(ask("POST /api/v1/api-keys", "", bodies[i], &out), 422);
    text_free(&out);
}

static void secrets_go_in_and_never_out(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    make_workspace(&out);
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/secrets/mqtt", "", "{\"value\":\"hunter2\"}", &out),
                     204);
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/secrets/No!", "", "{\"value\":\"x\"}", &out), 422);
    assert_int_equal(atomic_load(&f.secrets_changed), 1); /* what was refused has changed nothing */
    assert_int_equal(ask("PUT /api/v1/workspaces/acme/secrets/mqtt", "", "{\"value\":5}", &out), 422);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/secrets", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"name\":\"mqtt\""));
    assert_null(strstr(raw_body(&out), "hunter2"));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/secrets/mqtt", "", NULL, &out), 200);
    assert_int_equal(ask("DELETE /api/v1/workspaces/acme/secrets/mqtt", "", NULL, &out), 204);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/secrets/mqtt", "", NULL, &out), 404);
    text_free(&out);
}

/* ---- what the flow leaves behind ---- */

static void put_alert(const char *labels)
{
    status st;
    connection *c = NULL;
    OK(pool_borrow(plane.control, NULL, 5000, &c, &st));
    alert_record fired = {.alert = "high",
                          .labels = labels,
                          .phase = "firing",
                          .before = "ok",
                          .since_us = 1767322800000000,
                          .value = 0.97};
    arena *a = arena_create(0);
    OK(alert_states_save(c, calls.wid, &fired, 1, a, &st));
    arena_free(a);
    delivery d = {.id = "d1",
                  .wid = calls.wid,
                  .alert = "high",
                  .labels = labels,
                  .event = "firing",
                  .notifier = "ops",
                  .message = "{}"};
    OK(delivery_add(c, &d, &st));
    pool_return(plane.control, c);
}

static void alerts_are_shown_and_acknowledged(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char line[200];
    put_alert("{\"device\":\"pump-2 \\\"x\\\"\"}");
    assert_int_equal(ask("GET /api/v1/workspaces/acme/alerts?filter[state]=firing", "", NULL, &out), 200);
    json_t *v = document_of(&out), *item = json_array_get(json_object_get(v, "items"), 0);
    assert_string_equal(word(item, "rule"), "high");
    assert_string_equal(word(item, "title"), "Too \"high\"");
    assert_string_equal(word(item, "severity"), "critical");
    assert_string_equal(word(json_object_get(item, "labels"), "device"), "pump-2 \"x\"");
    assert_non_null(strstr(out.data, "\"value\":0.97"));
    snprintf(line, sizeof line, "GET /api/v1/workspaces/acme/alerts/%s", word(item, "id"));
    assert_int_equal(ask(line, "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"notifier\":\"ops\""));
    snprintf(line, sizeof line, "POST /api/v1/workspaces/acme/alerts/%s:ack", word(item, "id"));
    assert_int_equal(ask(line, "", NULL, &out), 200);
    json_decref(v);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/alerts", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"acked_by\":\"key_"));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/alerts/al_none", "", NULL, &out), 404);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/notifiers", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"waiting\":1"));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/deliveries", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/alert-rules/high", "", NULL, &out), 200);
    text_free(&out);
}

/* The books as the writer leaves them. */
static void write_books(void)
{
    status st;
    char script[800];
    connection *c = NULL;
    snprintf(
        script, sizeof script,
        "INSERT INTO penstock.ledger_wid%1$d (store, minute, received, stored, duplicate, rejected)"
        " VALUES ('d', '2026-01-01Z', 10, 6, 3, 1), ('d', '2026-01-02Z', 5, 5, 0, 0);"
        "INSERT INTO penstock.dead_letter_wid%1$d (id, store, received, code, pointer, detail, body)"
        " SELECT 'L' || i, 'd', '2026-01-01Z', 'type', '/v', 'v is no number', '\\x7b22'"
        " FROM generate_series(1, 3) i; UPDATE penstock.dead_letter_wid%1$d SET body = '\\xff00' WHERE id "
        "= 'L1';"
        "INSERT INTO datastore.d_wid%1$d (time, device, v, _seq, _received)"
        " SELECT '2026-01-01Z'::timestamptz + i * interval '1 s', 'a', i, i, now() FROM generate_series(1, "
        "20) i",
        (int)calls.wid);
    OK(pool_borrow(plane.data, NULL, 5000, &c, &st));
    OK(connection_script(c, "books", script, &st));
    pool_return(plane.data, c);
}

static void ledger_and_dead_letters_are_shown(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char line[512];
    write_books();
    assert_int_equal(ask("GET /api/v1/workspaces/acme/ledger", "", NULL, &out), 200);
    assert_string_equal(
        raw_body(&out),
        "{\"items\":[{\"store\":\"d\",\"received\":18,\"stored\":11,\"updated\":0,\"duplicate\":3,"
        "\"rejected\":1,\"dropped\":0,\"purged\":0,\"too_late\":0,\"expired\":0,\"letters\":0,"
        "\"letter_bytes\":0,\"unkept\":0,\"balanced\":true,\"in_flight\":3}],\"next\":null}\n");
    assert_int_equal(ask("GET /api/v1/workspaces/acme/ledger?from=2026-01-02T00:00:00Z", "", NULL, &out),
                     200);
    assert_non_null(strstr(raw_body(&out), "\"received\":8,"));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/dead-letters?limit=2", "", NULL, &out), 200);
    json_t *v = document_of(&out);
    assert_string_equal(word(json_array_get(json_object_get(v, "items"), 0), "id"), "L3");
    snprintf(line, sizeof line, "GET /api/v1/workspaces/acme/dead-letters?limit=2&cursor=%s",
             word(v, "next"));
    json_decref(v);
    assert_int_equal(ask(line, "", NULL, &out), 200);
    v = document_of(&out);
    assert_int_equal(json_array_size(json_object_get(v, "items")), 1);
    assert_true(json_is_null(json_object_get(v, "next")));
    json_decref(v);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/dead-letters/L2", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"body\":\"{\\\"\""));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/dead-letters/L1", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"body_base64\":\"/wA=\""));
    assert_int_equal(ask("GET /api/v1/workspaces/acme/dead-letters/none", "", NULL, &out), 404);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/audit?limit=2", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"actor\":\"key_"));
    text_free(&out);
}

static void models_have_versions(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    assert_int_equal(ask("GET /api/v1/workspaces/acme/models", "", NULL, &out), 200);
    assert_int_equal(ask("GET /api/v1/workspaces/acme/models/none", "", NULL, &out), 404);
    assert_int_equal(ask("POST /api/v1/workspaces/acme/models/any:train", "", NULL, &out), 200);
    assert_string_equal(raw_body(&out), "{\"version\":1}\n");
    assert_int_equal(ask("GET /api/v1/jobs", "", NULL, &out), 200);
    json_t *v = document_of(&out), *job = json_array_get(json_object_get(v, "items"), 0);
    assert_string_equal(word(job, "state"), "succeeded");
    assert_string_equal(word(job, "kind"), "train");
    char line[100];
    snprintf(line, sizeof line, "GET /api/v1/jobs/%s", word(job, "id"));
    json_decref(v);
    assert_int_equal(ask(line, "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"result\":{\"version\":1}"));
    assert_int_equal(ask("GET /api/v1/jobs/none", "", NULL, &out), 404);
    assert_int_equal(
        ask("POST /api/v1/workspaces/acme/models/none:train", "Prefer: respond-async\r\n", NULL, &out), 404);
    assert_int_equal(ask("POST /api/v1/workspaces/acme/models/none:train", "", NULL, &out), 404);
    assert_int_equal(ask("POST /api/v1/workspaces/acme/models/none/versions/1:promote", "", "{}", &out), 404);
    text_free(&out);
}

static void a_workspace_says_how_it_is(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    assert_int_equal(ask("GET /api/v1/workspaces/acme/status", "", NULL, &out), 200);
    json_t *v = document_of(&out);
    assert_string_equal(word(v, "key"), "acme");
    const json_t *d = json_array_get(json_object_get(v, "stores"), 1);
    assert_string_equal(word(d, "store"), "datastore:d");
    assert_int_equal(number(d, "waiting"), 3);
    assert_true(number(d, "bytes") > 8000);
    assert_true(json_is_integer(json_object_get(d, "rows")));
    const json_t *source = json_array_get(json_object_get(v, "connectors"), 0);
    assert_string_equal(word(source, "state"), "live");
    assert_int_equal(number(source, "rows"), 4);
    assert_string_equal(word(json_array_get(json_object_get(v, "alerts"), 0), "state"), "firing");
    json_decref(v);
    assert_int_equal(ask("GET /api/v1/system", "", NULL, &out), 200);
    assert_non_null(strstr(raw_body(&out), "\"state\":\"ready\""));
    text_free(&out);
}

static void a_deleted_workspace_is_gone(void **state)
{
    (void)state;
    NEED_CLUSTER();
    text out = {0};
    char head[128];
    unsigned removes = calls.removes;
    assert_int_equal(ask("DELETE /api/v1/workspaces/acme", "", NULL, &out), 428);
    assert_int_equal(ask("DELETE /api/v1/workspaces/acme", "If-Match: \"x\"\r\n", NULL, &out), 412);
    get_tag("GET /api/v1/workspaces/acme", head, &out);
    assert_int_equal(ask("DELETE /api/v1/workspaces/acme", head, NULL, &out), 204);
    assert_int_equal(calls.removes, removes + 1);
    assert_int_equal(ask("GET /api/v1/workspaces/acme", "", NULL, &out), 404);
    text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_is_checked_stored_and_shown),
        cmocka_unit_test(a_workspace_is_made_once),
        cmocka_unit_test(a_workspace_is_paused_and_resumed),
        cmocka_unit_test(a_plan_brings_a_workspace_to_a_new_version),
        cmocka_unit_test(a_plan_is_stale_once_the_workspace_moved),
        cmocka_unit_test(a_bad_template_is_refused_with_pointers),
        cmocka_unit_test(the_local_layer_adds),
        cmocka_unit_test(a_key_may_what_its_scopes_say),
        cmocka_unit_test(bad_keys_are_not_made),
        cmocka_unit_test(secrets_go_in_and_never_out),
        cmocka_unit_test(alerts_are_shown_and_acknowledged),
        cmocka_unit_test(ledger_and_dead_letters_are_shown),
        cmocka_unit_test(models_have_versions),
        cmocka_unit_test(a_workspace_says_how_it_is),
        cmocka_unit_test(a_deleted_workspace_is_gone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
