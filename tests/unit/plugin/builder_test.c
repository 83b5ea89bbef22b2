/* The SDK's batch builder and reader, as an author uses them. */
#include <stdio.h>
#include <string.h>

#include "penstock/batch.h"
#include "support/check.h"

static pst_error error = {.struct_size = sizeof error};

static void what_was_built_reads_back(void **state)
{
    (void)state;
    pst_builder *b = pst_builder_create();
    int word = pst_builder_column(b, "word", PST_TEXT), odd = pst_builder_column(b, "odd", PST_BOOLEAN);
    int n = pst_builder_column(b, "n", PST_INTEGER), doc = pst_builder_column(b, "doc", PST_JSON);
    for (int i = 0; i < 1000; i++) {
        if (i % 7)
            pst_builder_set_text(b, word, i % 2 ? "odd" : "");
        pst_builder_set_flag(b, odd, i % 2);
        if (i % 5)
            pst_builder_set_int(b, n, -i);
        pst_builder_set_text(b, doc, "{}");
        pst_builder_row(b);
    }
    assert_int_equal(pst_builder_rows(b), 1000);
    pst_batch out = {.struct_size = sizeof out};
    assert_int_equal(pst_builder_finish(b, "s", (pst_bytes){"cur", 3}, PST_BATCH_RAW, &out, &error), PST_OK);
    assert_int_equal(pst_builder_rows(b), 0);
    assert_string_equal(out.stream, "s");
    assert_memory_equal(out.cursor.data, "cur", 3);
    assert_int_equal(out.flags, PST_BATCH_RAW);

    pst_column words, odds, numbers, docs, none;
    assert_int_equal(pst_column_find(&out.schema, &out.array, "word", &words, &error), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "odd", &odds, &error), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "n", &numbers, &error), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "doc", &docs, &error), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "none", &none, &error), PST_E_UNSUPPORTED);
    assert_int_equal(docs.type, PST_JSON);
    assert_null(docs.valid);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(pst_column_null(&words, i), i % 7 == 0);
        assert_int_equal(pst_column_bytes(&words, i).len, i % 7 && i % 2 ? 3 : 0);
        assert_int_equal(pst_column_flag(&odds, i), i % 2);
        assert_int_equal(pst_column_null(&numbers, i), i % 5 == 0);
        if (i % 5) {
            assert_int_equal(pst_column_int(&numbers, i), -(int64_t)i);
            assert_true(pst_column_real(&numbers, i) == -(double)i);
        }
    }
    out.array.release(&out.array);
    out.schema.release(&out.schema);
    assert_null(out.array.release);
    assert_null(out.schema.release);
    pst_builder_free(b);
}

static void a_builder_is_used_for_one_batch_after_the_other(void **state)
{
    (void)state;
    pst_builder *b = pst_builder_create();
    int n = pst_builder_column(b, "n", PST_INT32);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < round; i++) {
            pst_builder_set_int(b, n, round);
            pst_builder_row(b);
        }
        pst_builder_reject(b, "x", 1, NULL, "why");
        pst_batch out = {.struct_size = sizeof out};
        assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, 0, &out, &error), PST_OK);
        assert_int_equal(out.array.length, round);
        assert_int_equal(out.n_rejects, 1);
        assert_null(out.rejects[0].where);
        assert_string_equal(out.rejects[0].reason, "why");
        assert_null(out.stream);
        pst_column c;
        assert_int_equal(pst_column_at(&out.schema, &out.array, 0, &c, &error), PST_OK);
        if (round)
            assert_int_equal(pst_column_int(&c, (uint32_t)round - 1), round);
        out.array.release(&out.array);
        out.schema.release(&out.schema);
    }
    pst_builder_free(b);
}

static pst_status finish_and_drop(pst_builder *b)
{
    pst_batch out = {.struct_size = sizeof out};
    pst_status status = pst_builder_finish(b, NULL, (pst_bytes){0}, 0, &out, &error);
    if (status == PST_OK) {
        out.array.release(&out.array);
        out.schema.release(&out.schema);
    }
    pst_builder_free(b);
    return status;
}

static void misuse_is_told_by_name(void **state)
{
    (void)state;
    pst_builder *b = pst_builder_create();
    int n = pst_builder_column(b, "n", PST_INT32);
    assert_int_equal(pst_builder_column(b, "n", PST_TEXT), -1); /* the name is taken */
    assert_int_equal(pst_builder_column(b, "m", 99), -1);
    pst_builder_set_int(b, n, INT32_MAX);
    pst_builder_row(b);
    assert_int_equal(pst_builder_column(b, "late", PST_TEXT), -1);
    assert_int_equal(finish_and_drop(b), PST_OK);

    b = pst_builder_create();
    n = pst_builder_column(b, "n", PST_INT32);
    pst_builder_set_int(b, n, (int64_t)INT32_MAX + 1);
    assert_int_equal(finish_and_drop(b), PST_E_INTERNAL);
    assert_non_null(strstr(error.message, "column n"));

    b = pst_builder_create();
    n = pst_builder_column(b, "n", PST_NUMBER);
    pst_builder_set_real(b, n, 1);
    pst_builder_set_real(b, n, 2);
    assert_int_equal(finish_and_drop(b), PST_E_INTERNAL);

    b = pst_builder_create();
    n = pst_builder_column(b, "n", PST_NUMBER);
    pst_builder_set_text(b, n, "1");
    assert_int_equal(finish_and_drop(b), PST_E_INTERNAL);
}

static void the_number_of_columns_has_a_limit(void **state)
{
    (void)state;
    pst_builder *b = pst_builder_create();
    for (int i = 0; i <= PST_COLUMNS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        assert_int_equal(pst_builder_column(b, name, PST_INTEGER), i < PST_COLUMNS_MAX ? i : -1);
    }
    pst_builder_free(b);
}

static void raw_records_need_no_columns(void **state)
{
    (void)state;
    pst_builder *b = pst_builder_create();
    pst_batch out = {.struct_size = sizeof out};
    pst_column payload, meta;
    pst_builder_payload(b, "dropped", 7, NULL);
    pst_builder_reject(b, "x", 1, NULL, "dropped too");
    pst_builder_clear(b);
    pst_builder_payload(b, "1;\xff", 3, "n;junk");
    pst_builder_payload(b, "", 0, NULL);
    assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, PST_BATCH_RAW, &out, &error), PST_OK);
    assert_int_equal(out.n_rejects, 0);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "_payload", &payload, &error), PST_OK);
    assert_int_equal(pst_column_find(&out.schema, &out.array, "_meta", &meta, &error), PST_OK);
    assert_int_equal(payload.rows, 2);
    assert_memory_equal(pst_column_bytes(&payload, 0).data, "1;\xff", 3);
    assert_int_equal(pst_column_bytes(&payload, 1).len, 0);
    assert_true(!pst_column_null(&meta, 0) && pst_column_null(&meta, 1));
    out.array.release(&out.array);
    out.schema.release(&out.schema);
    pst_builder_free(b);
    b = pst_builder_create();
    pst_builder_column(b, "n", PST_INTEGER);
    pst_builder_payload(b, "x", 1, NULL);
    assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, 0, &out, &error), PST_E_INTERNAL);
    pst_builder_clear(b); /* and it is as good as new */
    pst_builder_set_int(b, 0, 5);
    pst_builder_row(b);
    assert_int_equal(pst_builder_finish(b, NULL, (pst_bytes){0}, 0, &out, &error), PST_OK);
    out.array.release(&out.array);
    out.schema.release(&out.schema);
    pst_builder_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_built_reads_back),
        cmocka_unit_test(a_builder_is_used_for_one_batch_after_the_other),
        cmocka_unit_test(misuse_is_told_by_name),
        cmocka_unit_test(the_number_of_columns_has_a_limit),
        cmocka_unit_test(raw_records_need_no_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
