/* Workspaces on a real cluster: two of one template share nothing; plan and apply; keys, secrets, deletion.
 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/disk.h"
#include "base/utc.h"
#include "config/yaml_tree.h"
#include "control/audit.h"
#include "control/key.h"
#include "control/workspace.h"
#include "store/migrations.h"
#include "support/cluster.h"

static const char source[] =
    "apiVersion: penstock/v1\nkind: Template\nmetadata: {key: pumps, version: 1.0.0}\n"
    "parameters: {to: {type: string, format: email}}\n"
    "datastores:\n  d:\n    schema: {type: object, required: [time, device], additionalProperties: false, "
    "properties: "
    "{time: {type: string, format: date-time}, device: {type: string}, v: {type: number}%s}}\n"
    "    time: time\n    entity: [device]\n    unique: [device, time]\n"
    "featurestores:\n  f:\n    from: [datastore:d]\n    bucket: 10m\n    key: [bucket, device]\n    sql: |\n"
    "      SELECT penstock.time_bucket(:bucket, time) AS bucket, device, count(*) AS n, avg(v) AS v_avg%s\n"
    "      FROM datastore:d GROUP BY 1, 2\n"
    "inferencestores:\n  i: {key: [bucket, device], schema: {type: object, properties: {bucket: {type: "
    "string, format: "
    "date-time}, device: {type: string}, score: {type: number}}}}\n"
    "metrics:\n  m: {value: n, sql: 'SELECT device, n FROM featurestore:f'}\n"
    "notifiers: {ops: {plugin: a.b, config: {to: '${to}'}}}\n";

static control control_plane;
static char *state_folder;
static secret_key *master;

static connection *super_of(const char *database)
{
    connection *c = test_connect(database);
    assert_non_null(c);
    return c;
}

static pool *make_pool(const char *database, const char *user, const char *password)
{
    connection_options o = test_options(database);
    o.user = user;
    o.password = password;
    return pool_create(&(pool_options){.base = o});
}

static void prepare_database(const char *name, migration_plane plane, connection *root)
{
    status st;
    connection *c;
    OK(roles_database_create(root, name, "service", &st));
    c = super_of(name);
    OK(roles_database_close(c, name, "service", &st));
    connection_close(c);
    c = test_connect_as(name, "service", "secret");
    OK(migrations_run(c, plane, NULL, &st));
    connection_close(c);
}

static int set_up(void **state)
{
    (void)state;
    status st;
    if (!test_cluster())
        return 0;
    connection *root = super_of("postgres");
    OK(roles_service_create(root, "service", "secret", &st));
    prepare_database("plane_control", MIGRATION_CONTROL, root);
    prepare_database("plane_data", MIGRATION_DATA, root);
    connection_close(root);
    state_folder = test_folder();
    OK(secret_key_open(state_folder, &master, &st));
    control_plane = (control){.control = make_pool("plane_control", "service", "secret"),
                              .data = make_pool("plane_data", "service", "secret"),
                              .key = master};
    OK(control_identify(&control_plane, &st));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pool_free(control_plane.control);
    pool_free(control_plane.data);
    secret_key_free(master);
    if (state_folder)
        test_folder_remove(state_folder);
    test_cluster_stop();
    return 0;
}

static json_t *template_body(const char *version, const char *column, const char *feature)
{
    status st;
    yaml_tree *t = NULL;
    text filled = {0};
    text_printf(&filled, source, column, feature);
    OK(yaml_tree_parse("t.yaml", filled.data, filled.len, &t, &st));
    json_t *body = json_incref(yaml_tree_root(t));
    json_object_set_new(json_object_get(body, "metadata"), "version", json_string(version));
    yaml_tree_free(t);
    text_free(&filled);
    return body;
}

static void put_template(const char *version, const char *column, const char *feature)
{
    status st;
    json_t *body = template_body(version, column, feature);
    OK(template_put(&control_plane, body, "tester", NULL, &st));
    json_decref(body);
}

static status_class create(const char *key, workspace **ret, status *st)
{
    json_t *parameters = json_pack("{s:s}", "to", "ops@example.org");
    const workspace_request q = {
        .key = key, .template = "pumps", .version = "1.0.0", .parameters = parameters};
    status_class class = workspace_create(&control_plane, &q, "tester", ret, st);
    json_decref(parameters);
    return class;
}

static workspace *created(const char *key)
{
    status st;
    workspace *w = NULL;
    OK(create(key, &w, &st));
    return w;
}

static void delete (workspace *w)
{
    status st;
    OK(workspace_delete(&control_plane, w->wid, "tester", &st));
    workspace_free(w);
}

static connection *login_of(const workspace *w)
{
    connection *c = test_connect_as("plane_data", w->role, w->password);
    assert_non_null(c);
    return c;
}

static status_class run(connection *c, const char *format, int32_t wid, status *st)
{
    char sql[300];
    const char *at = strstr(format, "@");
    snprintf(sql, sizeof sql, "%.*s%d%s", (int)(at - format), format, wid, at + 1);
    return connection_exec(c, sql, NULL, 0, NULL, st);
}

static void templates_are_stored_once(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    put_template("1.0.0", "", "");
    put_template("1.0.0", "", "");
    json_t *other = template_body("1.0.0", ", w: {type: number}", "");
    assert_int_equal(template_put(&control_plane, other, "tester", NULL, &st), STATUS_CONFLICT);
    json_object_set_new(other, "datastore", json_object());
    template_report *report = NULL;
    assert_int_equal(template_put(&control_plane, other, "tester", &report, &st), STATUS_INVALID);
    assert_int_equal(report->n_problems, 1);
    template_report_free(report);
    json_decref(other);
    put_template("1.2.0", ", w: {type: number}", "");
    put_template("1.10.0", ", w: {type: number}", ", max(w) AS w_max");
    arena *a = arena_create(0);
    const char *version;
    json_t *body, *list;
    OK(template_get(&control_plane, "pumps", NULL, a, &version, &body, &st));
    assert_string_equal(version, "1.10.0");
    json_decref(body);
    assert_int_equal(template_get(&control_plane, "pumps", "9.9.9", a, &version, &body, &st),
                     STATUS_NOT_FOUND);
    OK(template_list(&control_plane, NULL, &list, &st));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "versions")), 3);
    json_decref(list);
    arena_free(a);
}

static void two_workspaces_share_nothing(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    workspace *a = created("first"), *b = created("second");
    assert_int_not_equal(a->wid, b->wid);
    assert_string_not_equal(a->password, b->password);
    assert_string_equal(a->definition->workspace, "first");
    const defined_featurestore *f = definition_featurestore(a->definition, "f");
    assert_int_equal(f->n_columns, 4);
    assert_string_equal(f->columns[2].name, "n");
    assert_int_equal(f->columns[2].type, COLUMN_INTEGER);
    assert_int_equal(f->columns[3].type, COLUMN_NUMBER);
    connection *mine = login_of(a);
    OK(run(mine, "SELECT * FROM datastore.d_wid@", a->wid, &st));
    OK(run(mine, "SELECT bucket, device, n, v_avg FROM featurestore.f_wid@", a->wid, &st));
    OK(run(mine, "SELECT score, _model FROM inferencestore.i_wid@", a->wid, &st));
    const char *const walls[] = {
        "SELECT * FROM datastore.d_wid@",          "SELECT * FROM featurestore.f_wid@",
        "SELECT * FROM inferencestore.i_wid@",     "DELETE FROM featurestore.f_wid@",
        "SELECT * FROM penstock.dirty_wid@",       "SELECT * FROM penstock.ledger_wid@",
        "SELECT * FROM penstock.dead_letter_wid@", "DROP TABLE datastore.d_wid@"};
    for (size_t i = 0; i < sizeof walls / sizeof *walls; i++)
        if (run(mine, walls[i], b->wid, &st) == STATUS_OK ||
            strcmp(connection_failure_of(mine)->sqlstate, "42501") != 0)
            fail_msg("no wall: %s (%s)", walls[i], connection_failure_of(mine)->sqlstate);
    connection_close(mine);
    assert_int_equal(create("first", &a, &st), STATUS_CONFLICT);
    assert_int_equal(create("No Slug", &a, &st), STATUS_INVALID);
    delete (b);
    workspace *again = NULL;
    OK(workspace_load(&control_plane, 0, "first", &again, &st));
    delete (again);
    workspace_free(a);
}

static void a_failed_creation_leaves_nothing(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    workspace *w = NULL;
    json_t *body = template_body("3.0.0", "", ", no_such_column AS x"), *list;
    OK(template_put(&control_plane, body, "tester", NULL, &st));
    json_decref(body);
    json_t *parameters = json_pack("{s:s}", "to", "ops@example.org");
    const workspace_request q = {
        .key = "broken", .template = "pumps", .version = "3.0.0", .parameters = parameters};
    assert_int_not_equal(workspace_create(&control_plane, &q, "tester", &w, &st), STATUS_OK);
    assert_non_null(strstr(st.text, "featurestore f"));
    json_decref(parameters);
    OK(workspace_list(&control_plane, &list, &st));
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    connection *c = super_of("plane_data");
    rows *r = NULL;
    OK(connection_exec(c,
                       "SELECT coalesce(string_agg(n, ' '), '') FROM (SELECT rolname::text AS n FROM pg_roles"
                       " UNION ALL SELECT relname FROM pg_class) t WHERE n ~ '_wid[0-9]'",
                       NULL, 0, &r, &st));
    assert_string_equal(rows_text(r, 0, 0), "");
    rows_free(r);
    connection_close(c);
    put_template("3.0.1", "", "");
}

static stored_plan plan(workspace *w, const char *version, json_t *local, arena *a)
{
    status st;
    stored_plan p;
    OK(workspace_plan(&control_plane, w->wid, &(plan_request){.version = version, .local = local}, a, &p,
                      NULL, &st));
    return p;
}

static void plans_are_applied_once_and_only_while_they_fit(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    arena *a = arena_create(0);
    workspace *w = created("plans"), *next = NULL;
    stored_plan up = plan(w, "1.10.0", NULL, a), other = plan(w, "1.2.0", NULL, a);
    assert_int_equal(json_integer_value(json_object_get(up.changes, "changed")), 2);
    OK(plan_apply(&control_plane, up.id, false, "tester", &next, &st));
    assert_int_equal(next->generation, 2);
    assert_string_equal(next->version, "1.10.0");
    assert_int_equal(definition_datastore(next->definition, "d")->n_columns, 4);
    assert_int_equal(definition_featurestore(next->definition, "f")->n_columns, 5);
    connection *c = login_of(next);
    OK(run(c, "SELECT w FROM datastore.d_wid@", w->wid, &st));
    OK(run(c, "SELECT w_max FROM featurestore.f_wid@", w->wid, &st));
    connection_close(c);
    workspace_free(next);
    assert_int_equal(plan_apply(&control_plane, up.id, false, "tester", &next, &st), STATUS_CONFLICT);
    assert_non_null(strstr(st.text, "already"));
    assert_int_equal(plan_apply(&control_plane, other.id, false, "tester", &next, &st), STATUS_CONFLICT);
    assert_non_null(strstr(st.text, "changed after the plan"));
    json_decref(other.changes);
    stored_plan back = plan(w, "1.0.0", NULL, a);
    assert_int_equal(plan_apply(&control_plane, back.id, false, "tester", &next, &st), STATUS_INVALID);
    assert_non_null(strstr(st.text, "refused"));
    json_decref(back.changes);
    json_decref(up.changes);
    delete (w);
    arena_free(a);
}

static void a_plan_grows_old(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    arena *a = arena_create(0);
    static clock_fake fake;
    clock_fake_use(&fake, clock_wall_us());
    workspace *w = created("old"), *next = NULL;
    stored_plan p = plan(w, "1.2.0", NULL, a);
    clock_fake_advance(&fake, PLAN_LIFE_US + 1);
    assert_int_equal(plan_apply(&control_plane, p.id, false, "tester", &next, &st), STATUS_CONFLICT);
    assert_non_null(strstr(st.text, "older than an hour"));
    clock_use(NULL);
    json_decref(p.changes);
    delete (w);
    arena_free(a);
}

static void a_local_layer_comes_and_goes(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    arena *a = arena_create(0);
    workspace *w = created("layered"), *next = NULL;
    json_t *local =
        json_loads("{\"apiVersion\": \"penstock/v1\", \"kind\": \"LocalLayer\", \"datastores\": {\"own\": {"
                   "\"schema\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}}}}}}",
                   0, NULL);
    stored_plan p = plan(w, NULL, local, a);
    OK(plan_apply(&control_plane, p.id, false, "tester", &next, &st));
    assert_int_equal(definition_object(next->definition, CLASS_DATASTORE, "own")->origin, ORIGIN_LOCAL);
    json_decref(p.changes);
    workspace_free(next);
    json_t *none = json_null();
    p = plan(w, NULL, none, a);
    assert_int_equal(plan_apply(&control_plane, p.id, false, "tester", &next, &st), STATUS_INVALID);
    assert_non_null(strstr(st.text, "confirmed"));
    OK(plan_apply(&control_plane, p.id, true, "tester", &next, &st));
    assert_null(definition_datastore(next->definition, "own"));
    connection *c = login_of(next);
    assert_int_not_equal(run(c, "SELECT * FROM datastore.own_wid@", w->wid, &st), STATUS_OK);
    assert_string_equal(connection_failure_of(c)->sqlstate, "42P01");
    connection_close(c);
    json_decref(p.changes);
    json_t *wrong =
        json_loads("{\"apiVersion\": \"penstock/v1\", \"kind\": \"LocalLayer\", \"datastores\": {\"d\": {"
                   "\"schema\": {\"type\": \"object\"}}}}",
                   0, NULL);
    assert_int_equal(
        workspace_plan(&control_plane, w->wid, &(plan_request){.local = wrong}, a, &p, NULL, &st),
        STATUS_INVALID);
    json_decref(wrong);
    json_decref(local);
    workspace_free(next);
    delete (w);
    arena_free(a);
}

static void count_workspace(void *arg, workspace *w, const status *problem)
{
    assert_null(problem);
    assert_non_null(w->password);
    assert_non_null(w->definition);
    ++*(int *)arg;
}

static void paused_listed_loaded_audited(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    int n = 0;
    json_t *deeds;
    workspace *w = created("one"), *again = NULL;
    OK(workspace_pause(&control_plane, w->wid, true, "tester", &st));
    OK(workspace_load(&control_plane, 0, w->id, &again, &st));
    assert_true(again->paused);
    workspace_free(again);
    OK(workspace_load_all(&control_plane, count_workspace, &n, &st));
    assert_int_equal(n, 1);
    connection *db = NULL;
    OK(pool_borrow(control_plane.control, NULL, 1000, &db, &st));
    OK(audit_list(db, w->wid, 0, 10, &deeds, &st));
    assert_int_equal(json_array_size(deeds), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(deeds, 0), "verb")), "pause");
    pool_return(control_plane.control, db);
    json_decref(deeds);
    assert_int_equal(workspace_pause(&control_plane, 9999, true, "tester", &st), STATUS_NOT_FOUND);
    delete (w);
}

static void keys_are_verified_revoked_and_expire(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *db = NULL;
    key_record record;
    bool made;
    char key[KEY_TEXT_SIZE], id[32], path[512];
    snprintf(path, sizeof path, "%s/admin.key", state_folder);
    OK(pool_borrow(control_plane.control, NULL, 1000, &db, &st));
    OK(key_ensure_admin(db, path, &made, &st));
    assert_true(made);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    OK(key_ensure_admin(db, path, &made, &st));
    assert_false(made);
    text content = {0};
    OK(disk_read(path, 100, &content, &st));
    content.data[KEY_TEXT_SIZE - 1] = '\0';
    OK(key_verify(db, content.data, &record, &st));
    assert_string_equal(record.name, "first admin");
    json_decref(record.scopes);
    content.data[10] ^= 1;
    assert_int_equal(key_verify(db, content.data, &record, &st), STATUS_DENIED);
    text_free(&content);

    json_t *scopes = json_pack("[{s:i, s:[s]}]", "wid", 3, "verbs", "read");
    OK(key_create(db, "reader", scopes, 0, key, id, &st));
    assert_int_equal(strlen(key), KEY_TEXT_SIZE - 1);
    OK(key_verify(db, key, &record, &st));
    assert_true(json_equal(record.scopes, scopes));
    json_decref(record.scopes);
    OK(key_revoke(db, id, &st));
    assert_int_equal(key_verify(db, key, &record, &st), STATUS_DENIED);
    assert_int_equal(key_revoke(db, id, &st), STATUS_NOT_FOUND);
    OK(key_create(db, "late", scopes, clock_wall_us() - UTC_SECOND_US, key, id, &st));
    assert_int_equal(key_verify(db, key, &record, &st), STATUS_DENIED);
    json_decref(scopes);
    scopes = json_pack("[{s:[s]}]", "verbs", "fly");
    assert_int_equal(key_create(db, "wrong", scopes, 0, key, id, &st), STATUS_INVALID);
    json_decref(scopes);
    pool_return(control_plane.control, db);
}

static void secrets_are_sealed(void **state)
{
    NEED_CLUSTER();
    (void)state;
    status st;
    connection *db = NULL;
    text out = {0};
    json_t *list;
    OK(pool_borrow(control_plane.control, NULL, 1000, &db, &st));
    OK(secret_set(db, master, 0, "mail", "platform", 8, &st));
    OK(secret_get(db, master, 5, "mail", &out, &st));
    assert_string_equal(out.data, "platform");
    OK(secret_set(db, master, 5, "mail", "own", 3, &st));
    OK(secret_get(db, master, 5, "mail", &out, &st));
    assert_string_equal(out.data, "own");
    assert_int_equal(secret_get(db, master, 5, "none", &out, &st), STATUS_NOT_FOUND);
    assert_int_equal(secret_set(db, master, 5, "No Name", "x", 1, &st), STATUS_INVALID);
    OK(secret_list(db, 5, &list, &st));
    assert_int_equal(json_array_size(list), 1);
    char *shown = json_dumps(list, 0);
    assert_null(strstr(shown, "own"));
    free(shown);
    json_decref(list);
    rows *r = NULL;
    OK(connection_exec(db,
                       "SELECT count(*) FROM control.secret WHERE position('platform'::bytea IN blob) > 0",
                       NULL, 0, &r, &st));
    assert_int_equal(rows_integer(r, 0, 0), 0);
    rows_free(r);
    OK(secret_delete(db, 5, "mail", &st));
    assert_int_equal(secret_delete(db, 5, "mail", &st), STATUS_NOT_FOUND);
    secret_wipe(&out);
    pool_return(control_plane.control, db);
}

static void the_master_key_matters(void **state)
{
    (void)state;
    status st;
    char *folder = test_folder(), path[512];
    secret_key *a = NULL, *b = NULL, *other = NULL;
    struct stat about;
    size_t len;
    OK(secret_key_open(folder, &a, &st));
    OK(secret_key_open(folder, &b, &st));
    snprintf(path, sizeof path, "%s/master.key", folder);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    arena *memory = arena_create(0);
    const uint8_t *blob = secret_seal(a, "value", 5, memory, &len);
    uint8_t *changed = arena_copy(memory, blob, len);
    changed[len - 1] ^= 1;
    text out = {0};
    OK(secret_open(b, blob, len, &out, &st));
    assert_string_equal(out.data, "value");
    assert_int_equal(secret_open(b, changed, len, &out, &st), STATUS_DENIED);
    assert_int_equal(secret_open(b, blob, 10, &out, &st), STATUS_DENIED);
    assert_int_equal(remove(path), 0);
    OK(secret_key_open(folder, &other, &st));
    assert_int_equal(secret_open(other, blob, len, &out, &st), STATUS_DENIED);
    assert_non_null(strstr(st.text, "another master key"));
    OK(disk_write(path, "short\n", 6, 0600, &st));
    secret_key *broken = NULL;
    assert_int_equal(secret_key_open(folder, &broken, &st), STATUS_INVALID);
    secret_wipe(&out);
    secret_key_free(a);
    secret_key_free(b);
    secret_key_free(other);
    arena_free(memory);
    test_folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_stored_once),
        cmocka_unit_test(two_workspaces_share_nothing),
        cmocka_unit_test(a_failed_creation_leaves_nothing),
        cmocka_unit_test(plans_are_applied_once_and_only_while_they_fit),
        cmocka_unit_test(a_plan_grows_old),
        cmocka_unit_test(a_local_layer_comes_and_goes),
        cmocka_unit_test(paused_listed_loaded_audited),
        cmocka_unit_test(keys_are_verified_revoked_and_expire),
        cmocka_unit_test(secrets_are_sealed),
        cmocka_unit_test(the_master_key_matters),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
