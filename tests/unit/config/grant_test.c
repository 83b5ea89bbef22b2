/* Grants: both forms, who they hold for, refusals with their place, limits, which address a network holds. */
#include "support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/disk.h"
#include "config/grant.h"

static settings *loaded_flag(const char *flag)
{
    status st;
    settings *s = NULL;
    const settings_source source = {.argc = flag != NULL, .argv = &flag};
    if (settings_load(&source, &s, &st) != STATUS_OK)
        fail_msg("%s: %s", st.where, st.text);
    return s;
}

static status load_yaml(const char *yaml, settings **ret)
{
    char *folder = test_folder(), file[512];
    status st = {0};
    snprintf(file, sizeof file, "%s/p.yaml", folder);
    assert_int_equal(disk_write(file, yaml, strlen(yaml), 0600, &st), STATUS_OK);
    const settings_source source = {.file = file};
    *ret = NULL;
    status_class class = settings_load(&source, ret, &st);
    if (class == STATUS_OK)
        st.class = STATUS_OK;
    test_folder_remove(folder);
    return st;
}

static void grants_hold_for_all_or_for_the_named(void **state)
{
    (void)state;
    settings *s;
    const char *found[GRANTS_MAX];
    grant_network networks[GRANTS_MAX];
    status st = load_yaml("files:\n  allow:\n    - /srv/shared/\n"
                          "    - {folder: /srv/pump, workspaces: [pump-station, demo]}\n"
                          "networks: {allow: [10.0.0.0/8, {network: \"fd00::/8\", workspaces: [demo]}]}\n",
                          &s);
    assert_int_equal(st.class, STATUS_OK);
    assert_int_equal(grant_files(s, "demo", found), 2);
    assert_string_equal(found[0], "/srv/shared");
    assert_string_equal(found[1], "/srv/pump");
    assert_int_equal(grant_files(s, "other", found), 1);
    assert_int_equal(grant_networks(s, "demo", networks), 2);
    assert_int_equal(networks[1].family, AF_INET6);
    assert_int_equal(networks[1].bits, 8);
    assert_int_equal(grant_networks(s, "other", networks), 1);
    assert_int_equal(networks[0].bits, 8);
    assert_string_equal(settings_text(s, "files.allow"), "/srv/shared,/srv/pump@pump-station+demo");
    settings_free(s);
}

static void programs_are_granted_by_their_whole_path(void **state)
{
    (void)state;
    settings *s;
    status st = load_yaml("exec: {allow: [/usr/bin/all, {program: /usr/bin/one, workspaces: [demo]}]}\n", &s);
    assert_int_equal(st.class, STATUS_OK);
    assert_true(grant_program(s, "demo", "/usr/bin/all"));
    assert_true(grant_program(s, "demo", "/usr/bin/one"));
    assert_true(grant_program(s, "other", "/usr/bin/all"));
    assert_false(grant_program(s, "other", "/usr/bin/one"));
    assert_false(grant_program(s, "demo", "/usr/bin/al"));
    assert_false(grant_program(s, "demo", "/usr/bin/all/more"));
    assert_false(grant_program(s, "demo", "/usr/bin/../bin/all"));
    assert_string_equal(settings_text(s, "exec.allow"), "/usr/bin/all,/usr/bin/one@demo");
    settings_free(s);
    static const char *const wrong[] = {"usr/bin/x", "/usr/bin/", "/usr/../bin/x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char yaml[100];
        snprintf(yaml, sizeof yaml, "exec: {allow: [%s]}\n", wrong[i]);
        st = load_yaml(yaml, &s);
        assert_int_equal(st.class, STATUS_INVALID);
        assert_non_null(strstr(st.text, "exec.allow"));
        settings_free(s);
    }
}

static void the_text_form_says_the_same(void **state)
{
    (void)state;
    const char *found[GRANTS_MAX];
    settings *s = loaded_flag("--files.allow=/srv/shared, /srv/pump@pump-station+demo");
    assert_int_equal(grant_files(s, "pump-station", found), 2);
    assert_int_equal(grant_files(s, "pump", found), 1);
    settings_free(s);
    s = loaded_flag(NULL);
    assert_int_equal(grant_files(s, "demo", found), 0);
    assert_null(settings_grants(s, "networks.allow"));
    settings_free(s);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    const struct {
        const char *yaml, *where, *says, *hint;
    } cases[] = {
        {"files:\n  allow: [srv]\n", "p.yaml:2:11", "absolute", "whole path"},
        {"files:\n  allow: [/]\n", "p.yaml:2:11", "whole machine", "name the folders"},
        {"files:\n  allow: [/srv/../etc]\n", "p.yaml:2:11", "absolute", "whole path"},
        {"files:\n  allow: [{foldr: /srv}]\n", "p.yaml:2:12", "foldr", "did you mean folder"},
        {"files:\n  allow: [{folder: /srv, workspaces: []}]\n", "p.yaml:2:38", "list of keys",
         "leave it out"},
        {"files:\n  allow: [{folder: /srv, workspaces: [Pump]}]\n", "p.yaml:2:39", "Pump", "small letters"},
        {"files:\n  allow: [{workspaces: [pump]}]\n", "p.yaml:2:11", "an item is a folder", ""},
        {"files:\n  allow: 7\n", "p.yaml:2:10", "a list", ""},
        {"networks:\n  allow: [localhost]\n", "p.yaml:2:11", "no network", "names are not resolved"},
        {"networks:\n  allow: [10.0.0.0/33]\n", "p.yaml:2:11", "no network", ""},
        {"networks:\n  allow: [10.0.0.0/]\n", "p.yaml:2:11", "no network", ""},
        {"networks:\n  allow:\n    - 10.1.0.0/8\n", "p.yaml:3:7", "behind its prefix", "10.0.0.0/8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        settings *s;
        status st = load_yaml(cases[i].yaml, &s);
        print_message("%s: %s (%s)\n", st.where, st.text, st.hint);
        assert_int_equal(st.class, STATUS_INVALID);
        assert_non_null(strstr(st.where, cases[i].where));
        assert_non_null(strstr(st.text, cases[i].says));
        assert_non_null(strstr(st.hint, cases[i].hint));
    }
}

static void a_list_has_a_limit(void **state)
{
    (void)state;
    for (int n = GRANTS_MAX - 1; n <= GRANTS_MAX + 1; n++) {
        text yaml = {0};
        settings *s;
        text_add(&yaml, "files:\n  allow:\n");
        for (int i = 0; i < n; i++)
            text_printf(&yaml, "    - /srv/%d\n", i);
        status st = load_yaml(yaml.data, &s);
        assert_int_equal(st.class, n <= GRANTS_MAX ? STATUS_OK : STATUS_LIMIT);
        settings_free(s);
        text_free(&yaml);
    }
}

static bool holds(const char *network, const char *address)
{
    char flag[128];
    grant_network networks[GRANTS_MAX];
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    snprintf(flag, sizeof flag, "--networks.allow=%s", network);
    settings *s = loaded_flag(flag);
    assert_int_equal(grant_networks(s, "demo", networks), 1);
    settings_free(s);
    if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
        return grant_network_contains(networks, (const struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
    return grant_network_contains(networks, (const struct sockaddr *)&six);
}

static void a_network_holds_its_addresses_and_no_others(void **state)
{
    (void)state;
    assert_true(holds("127.0.0.0/8", "127.255.0.1"));
    assert_false(holds("127.0.0.0/8", "128.0.0.1"));
    assert_true(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
    assert_false(holds("127.0.0.0/8", "::1"));
    assert_true(holds("192.168.1.6/31", "192.168.1.7"));
    assert_false(holds("192.168.1.6/31", "192.168.1.8"));
    assert_true(holds("10.0.0.7", "10.0.0.7"));
    assert_false(holds("10.0.0.7", "10.0.0.6"));
    assert_true(holds("0.0.0.0/0", "8.8.8.8"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
    assert_true(holds("fd00::/8", "fdff::1"));
    assert_false(holds("fd00::/8", "fe80::1"));
    const struct sockaddr other = {.sa_family = AF_UNIX};
    assert_false(grant_network_contains(&(grant_network){.family = AF_INET}, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grants_hold_for_all_or_for_the_named),
        cmocka_unit_test(programs_are_granted_by_their_whole_path),
        cmocka_unit_test(the_text_form_says_the_same),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(a_list_has_a_limit),
        cmocka_unit_test(a_network_holds_its_addresses_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
