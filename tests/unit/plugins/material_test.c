/* penstock.material: what a setting of pem, secret or file stands for, and how much of it. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cell/services.h"
#include "plugin_bench.h"

static pst_status fetch(plugin_bench *b, json_t *ca, pst_blob *out)
{
    const pst_call call = plugin_bench_call();
    json_t *config = json_pack("{s:s,s:{s:o}}", "url", "http://a.example/", "tls", "ca", ca);
    char *text = json_dumps(config, 0);
    assert_int_equal(plugin_bench_open(b, text), PST_OK);
    free(text);
    json_decref(config);
    *out = (pst_blob){.struct_size = sizeof *out};
    return service_material.fetch(&b->host, &call, "/tls/ca", out, &b->error);
}

static void gives(json_t *ca, const char *secret, const char *expected)
{
    plugin_bench b = {.secret = secret};
    pst_blob out;
    assert_int_equal(fetch(&b, ca, &out), PST_OK);
    assert_int_equal(out.len, strlen(expected));
    assert_memory_equal(out.data, expected, out.len);
    out.release(&out);
    assert_null(out.data);
    plugin_bench_close(&b);
}

static void refuses(json_t *ca, pst_status status, const char *where)
{
    plugin_bench b = {0};
    pst_blob out;
    assert_int_equal(fetch(&b, ca, &out), status);
    assert_string_equal(b.error.where, where);
    assert_null(out.data);
    plugin_bench_close(&b);
}

static void each_way_gives_its_bytes(void **state)
{
    (void)state;
    char path[] = "/tmp/penstock-material-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "of a file", 9) == 9);
    gives(json_pack("{s:s}", "pem", "as it stands"), NULL, "as it stands");
    gives(json_pack("{s:s}", "secret", "reference"), "of a secret", "of a secret");
    gives(json_pack("{s:s}", "file", path), NULL, "of a file");
    close(fd);
    unlink(path);
    refuses(json_pack("{s:s}", "file", path), PST_E_UNAVAILABLE, "/tls/ca/file");
    refuses(json_pack("{s:s}", "secret", "none"), PST_E_CONFIG, "/tls/ca/secret");
    refuses(json_object(), PST_E_CONFIG, "/tls/ca");
}

static void it_has_a_limit(void **state)
{
    (void)state;
    for (size_t len = PST_MATERIAL_MAX - 1; len <= PST_MATERIAL_MAX + 1; len++) {
        char *text = calloc(1, len + 1);
        memset(text, 'a', len);
        if (len <= PST_MATERIAL_MAX)
            gives(json_pack("{s:s}", "pem", text), NULL, text);
        else
            refuses(json_pack("{s:s}", "pem", text), PST_E_RESOURCE, "/tls/ca/pem");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_gives_its_bytes),
        cmocka_unit_test(it_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
