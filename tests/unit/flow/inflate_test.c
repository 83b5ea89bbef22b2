/* Compressed bodies: what comes out, the hostile ones, the caps. */
#include "support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/disk.h"
#include "flow/inflate.h"

#define LIMIT ((size_t)8 << 20)

static void add_gzip(text *out, const char *data, size_t len)
{
    z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)data, .avail_in = (uInt)len};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&z, len);
    text_reserve(out, bound);
    z.next_out = (Bytef *)out->data + out->len;
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += bound - z.avail_out;
    deflateEnd(&z);
}

static void add_zstd(text *out, const char *data, size_t len)
{
    size_t bound = ZSTD_compressBound(len);
    text_reserve(out, bound);
    out->len += ZSTD_compress(out->data + out->len, bound, data, len, 3);
}

static void comes_back(void **state)
{
    (void)state;
    static void (*const add[])(text *, const char *, size_t) = {add_gzip, add_zstd};
    static const inflate_coding codings[] = {INFLATE_GZIP, INFLATE_ZSTD};
    status st;
    for (int i = 0; i < 2; i++) {
        text packed = {0}, out = {0};
        add[i](&packed, "one ", 4);
        add[i](&packed, "two", 3);
        assert_int_equal(inflate_body(codings[i], packed.data, packed.len, LIMIT, &out, &st), STATUS_OK);
        assert_string_equal(out.data, "one two");
        for (size_t cut = 1; cut < packed.len; cut++) {
            status_class class = inflate_body(codings[i], packed.data, packed.len - cut, LIMIT, &out, &st);
            if (class == STATUS_OK)
                assert_int_equal(out.len, 4); /* cut exactly behind the first member */
            else
                assert_int_equal(class, STATUS_INVALID);
        }
        text_add(&packed, "x");
        assert_int_equal(inflate_body(codings[i], packed.data, packed.len, LIMIT, &out, &st), STATUS_INVALID);
        text_free(&packed);
        text_free(&out);
    }
}

static void at_the_limit(void **state)
{
    (void)state;
    char body[1000];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 % 251);
    text gzip = {0}, zstd = {0}, out = {0};
    status st;
    add_gzip(&gzip, body, sizeof body);
    add_zstd(&zstd, body, sizeof body);
    for (size_t limit = 999; limit <= 1001; limit++) {
        status_class want = limit < 1000 ? STATUS_LIMIT : STATUS_OK;
        assert_int_equal(inflate_body(INFLATE_GZIP, gzip.data, gzip.len, limit, &out, &st), want);
        assert_int_equal(inflate_body(INFLATE_ZSTD, zstd.data, zstd.len, limit, &out, &st), want);
        assert_int_equal(inflate_body(INFLATE_IDENTITY, body, sizeof body, limit, &out, &st), want);
    }
    text_free(&gzip);
    text_free(&zstd);
    text_free(&out);
}

static void bombs_are_refused(void **state)
{
    (void)state;
    size_t len = (size_t)32 << 20;
    char *zeros = calloc(1, len);
    text gzip = {0}, zstd = {0}, out = {0};
    status st;
    add_gzip(&gzip, zeros, len);
    add_zstd(&zstd, zeros, len);
    assert_int_equal(inflate_body(INFLATE_GZIP, gzip.data, gzip.len, (size_t)1 << 30, &out, &st),
                     STATUS_LIMIT);
    assert_true(out.cap < len);
    assert_int_equal(inflate_body(INFLATE_ZSTD, zstd.data, zstd.len, (size_t)1 << 30, &out, &st),
                     STATUS_LIMIT);
    assert_true(out.cap < len);
    free(zeros);
    text_free(&gzip);
    text_free(&zstd);
    text_free(&out);
}

static void hostile_files(void **state)
{
    (void)state;
    const char *folder = testdata("hostile/compressed");
    if (!folder)
        skip();
    char root[2048], path[4096];
    snprintf(root, sizeof root, "%s", folder);
    snprintf(path, sizeof path, "%s/index.json", root);
    json_t *index = json_load_file(path, 0, NULL), *item;
    size_t i, seen = 0;
    json_array_foreach(index, i, item)
    {
        const char *file = json_string_value(json_object_get(item, "file"));
        const char *verdict = json_string_value(json_object_get(item, "verdict"));
        text body = {0}, out = {0};
        status st;
        if (!strstr(file, ".gz"))
            continue;
        snprintf(path, sizeof path, "%s/%s", root, file);
        assert_int_equal(disk_read(path, LIMIT, &body, &st), STATUS_OK);
        bool ok = inflate_body(INFLATE_GZIP, text_or_empty(&body), body.len, LIMIT, &out, &st) == STATUS_OK;
        if ((strcmp(verdict, "accept") == 0 && !ok) || (strcmp(verdict, "reject") == 0 && ok))
            fail_msg("%s: %s", file, ok ? "accepted" : st.text);
        text_free(&body);
        text_free(&out);
        seen++;
    }
    assert_true(seen >= 9);
    json_decref(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back),
        cmocka_unit_test(at_the_limit),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(hostile_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
