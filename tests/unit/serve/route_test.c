/* Matching of paths to routes, and scopes of principals. */
#include "support/check.h"

#include <string.h>

#include "serve/auth.h"
#include "serve/route.h"

static void nothing(http_request *r)
{
    (void)r;
}

#define ROW(m, p, n)                                                                                      \
    {                                                                                                     \
        .method = m, .path = p, .name = n, .tag = "t", .summary = "s", .success = 200, .handler = nothing \
    }
static const route rows[] = {
    ROW(HTTP_GET, "/", "root"),
    ROW(HTTP_GET, "/a", "a"),
    ROW(HTTP_POST, "/a", "a_post"),
    ROW(HTTP_GET, "/a/{x}", "ax"),
    ROW(HTTP_GET, "/a/fixed", "a_fixed"),
    ROW(HTTP_GET, "/a/{x}/rows/{y}", "axy"),
    ROW(HTTP_POST, "/a/{x}:apply", "ax_apply"),
    ROW(HTTP_GET, "/a/fixed/other", "a_fixed_other"),
    ROW(HTTP_GET, "/files/{rest*}", "files"),
};

static const route_match *match(route_table *t, arena *a, http_method m, const char *path)
{
    static route_match found;
    route_table_match(t, m, path, a, &found);
    return &found;
}

static void paths_find_their_routes(void **state)
{
    (void)state;
    route_table *t = route_table_create();
    route_table_add(t, rows, sizeof rows / sizeof *rows);
    arena *a = arena_create(0);
    static const struct {
        http_method method;
        const char *path, *name, *first;
    } cases[] = {
        {HTTP_GET, "/", "root", NULL},
        {HTTP_HEAD, "/a", "a", NULL},
        {HTTP_POST, "/a", "a_post", NULL},
        {HTTP_GET, "/a/fixed", "a_fixed", NULL},
        {HTTP_GET, "/a/other", "ax", "other"},
        {HTTP_GET, "/a/b%2Fc", "ax", "b/c"},
        {HTTP_GET, "/a/fixed/rows/7", "axy", "fixed"}, /* back from the literal that led nowhere */
        {HTTP_GET, "/a/fixed/other", "a_fixed_other", NULL},
        {HTTP_POST, "/a/p:apply", "ax_apply", "p"},
        {HTTP_GET, "/files/x/y", "files", "x/y"},
        {HTTP_GET, "/b", NULL, NULL},
        {HTTP_GET, "/a/", NULL, NULL},
        {HTTP_GET, "/a//", NULL, NULL},
        {HTTP_GET, "//a", NULL, NULL},
        {HTTP_GET, "/a/x/rows", NULL, NULL},
        {HTTP_GET, "/files/", NULL, NULL},
        {HTTP_GET, "/a/p:other", NULL, NULL},
        {HTTP_GET, "/a/:apply", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const route_match *m = match(t, a, cases[i].method, cases[i].path);
        if (!cases[i].name) {
            assert_null(m->route);
            continue;
        }
        assert_non_null(m->route);
        assert_string_equal(m->route->name, cases[i].name);
        assert_ptr_equal(route_table_at(t, m->row), m->route);
        if (cases[i].first)
            assert_string_equal(m->params[0].value, cases[i].first);
    }
    assert_string_equal(match(t, a, HTTP_GET, "/a/1/rows/2")->params[1].name, "y");
    arena_free(a);
    route_table_free(t);
}

static void a_known_path_tells_its_methods(void **state)
{
    (void)state;
    route_table *t = route_table_create();
    route_table_add(t, rows, sizeof rows / sizeof *rows);
    arena *a = arena_create(0);
    const route_match *m = match(t, a, HTTP_DELETE, "/a");
    assert_null(m->route);
    assert_int_equal(m->allowed, 1U << HTTP_GET | 1U << HTTP_HEAD | 1U << HTTP_POST);
    arena_free(a);
    route_table_free(t);
}

static void scopes_allow_what_they_say(void **state)
{
    (void)state;
    principal who = {.n_scopes = 2,
                     .scopes = {{.wid = 7, .verbs = VERB_READ | VERB_WRITE, .reference = "datastore:*"},
                                {.wid = 8, .verbs = VERB_READ, .reference = "metric:pressure"}}};
    assert_true(auth_permits(&who, VERB_WRITE, "datastore:sensor", 7));
    assert_false(auth_permits(&who, VERB_DELETE, "datastore:sensor", 7));
    assert_false(auth_permits(&who, VERB_WRITE, "datastore:sensor", 8));
    assert_false(auth_permits(&who, VERB_READ, "datastores:x", 7));
    assert_true(auth_permits(&who, VERB_READ, "metric:pressure", 8));
    assert_false(auth_permits(&who, VERB_READ, "metric:pressure2", 8));
    assert_false(auth_permits(&who, VERB_READ, "metric:pressure", 0)); /* the platform's */
    assert_true(auth_sees(&who, 7));
    assert_false(auth_sees(&who, 9));
    principal all = {.n_scopes = 1, .scopes = {{.verbs = VERB_ALL}}};
    assert_true(auth_permits(&all, VERB_ADMIN, "platform:plugins", 0));
    assert_true(auth_sees(&all, 9));
}

static void keys_come_in_three_forms(void **state)
{
    (void)state;
    arena *a = arena_create(0);
    static const char key[] = "psk_0123456789ABCDEFGHJKMNPQRS";
    assert_string_equal(auth_key_of("Bearer psk_0123456789ABCDEFGHJKMNPQRS", a), key);
    assert_string_equal(auth_key_of("token psk_0123456789ABCDEFGHJKMNPQRS", a), key);
    assert_string_equal(auth_key_of("Basic eDpwc2tfMDEyMzQ1Njc4OUFCQ0RFRkdISktNTlBRUlM=", a), key);
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer x",
                                      "Bearer psk_short",
                                      "Basic !!!",
                                      "Basic eDp5",
                                      "Digest psk_0123456789ABCDEFGHJKMNPQRS"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(auth_key_of(bad[i], a));
    assert_null(auth_key_of(NULL, a));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_find_their_routes),
        cmocka_unit_test(a_known_path_tells_its_methods),
        cmocka_unit_test(scopes_allow_what_they_say),
        cmocka_unit_test(keys_come_in_three_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
