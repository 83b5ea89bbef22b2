/* CSV records: quotes, separators, line ends, limits. */
#include "support/check.h"

#include <string.h>

#include "base/csv.h"

static status st;

/* Cells of every record, cells joined by '|', records by '/'. NULL if refused. */
static char *records(const char *data, char separator)
{
    csv_reader r;
    text joined = {0};
    bool more;
    FILE *from = fmemopen((void *)data, strlen(data), "r");
    csv_start(&r, from, separator);
    status_class class;
    while ((class = csv_next(&r, &more, &st)) == STATUS_OK && more) {
        for (size_t i = 0; i < r.n_cells; i++) {
            text_add(&joined, i ? "|" : joined.len ? "/" : "");
            text_add(&joined, csv_cell(&r, i));
        }
    }
    csv_release(&r);
    fclose(from);
    if (class == STATUS_OK)
        return text_take(&joined);
    text_free(&joined);
    return NULL;
}

static void records_are(const char *data, char separator, const char *expected)
{
    char *got = records(data, separator);
    assert_non_null(got);
    assert_string_equal(got, expected);
    free(got);
}

static void cells_are_cut_as_the_rfc_says(void **state)
{
    (void)state;
    records_are("a,b\r\n1,\"x \"\"y\"\"\"\n\n2,\"p,q\nr\"", ',', "a|b/1|x \"y\"/2|p,q\nr");
    records_are("a;b,c;\n;;", ';', "a|b,c|/||");
    records_are("", ',', "");
    records_are("\n\r\n", ',', "");
}

static void broken_files_name_the_line(void **state)
{
    (void)state;
    assert_null(records("a\nb\n\"open\n\n", ','));
    assert_int_equal(st.class, STATUS_INVALID);
    assert_string_equal(st.where, "line 3");
}

static void columns_have_a_limit(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        char line[CSV_COLUMNS_MAX + 2];
        memset(line, ',', sizeof line);
        line[CSV_COLUMNS_MAX - 1 + over] = '\0';
        char *got = records(line, ',');
        assert_int_equal(got == NULL, over);
        free(got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_cut_as_the_rfc_says),
        cmocka_unit_test(broken_files_name_the_line),
        cmocka_unit_test(columns_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
