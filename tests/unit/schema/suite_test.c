/* The JSON-Schema-Test-Suite: every required case of both drafts, the format cases as assertions, and the
 * other optional ones but for a list of exceptions with reasons, which may only shrink. */
#include "support/check.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "schema/suite.h"

typedef struct exception {
    const char *file; /* end of the path */
    const char *test; /* NULL: the whole file */
    const char *reason;
    uint32_t at_most;
} exception;

static const exception exceptions[] = {
    {"format/idn-hostname.json", NULL, "the format is not offered, so it asserts nothing", 42},
    {"format/ecmascript-regex.json", "a variable-width lookbehind (ES2018)", "PCRE2 wants a fixed width", 1},
    {"draft2020-12/optional/cross-draft.json", NULL, "2019-09 is not one of our drafts", 1},
    {"draft7/optional/cross-draft.json", NULL, "2019-09 is not one of our drafts", 1},
    {"draft7/optional/content.json", NULL, "content keywords are annotations, as 2020-12 has them", 3},
};

typedef struct outcome {
    uint32_t unexpected;
    uint32_t excused[sizeof exceptions / sizeof *exceptions];
} outcome;

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static void on_failed(void *self, const suite_case *failed)
{
    outcome *o = self;
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++) {
        const exception *x = &exceptions[i];
        if (x->file && ends_in(failed->file, x->file) &&
            (!x->test || (failed->test && strcmp(x->test, failed->test) == 0))) {
            o->excused[i]++;
            return;
        }
    }
    o->unexpected++;
    print_message("%s: %s: %s: %s\n", failed->file, failed->group, failed->test ? failed->test : "(schema)",
                  failed->problem);
}

/* Runs the .json files of one folder (not of its subfolders). */
static suite_counts run_folder(const char *folder, schema_draft draft, bool format_assertion, outcome *o)
{
    status st;
    suite_counts counts = {0};
    schema_registry *remotes = schema_registry_create();
    const char *found = testdata("jsonschema/remotes");
    assert_non_null(found);
    assert_int_equal(suite_load_remotes(remotes, found, &st), STATUS_OK);
    const suite_options options = {.draft = draft,
                                   .format_assertion = format_assertion,
                                   .remotes = remotes,
                                   .on_failed = on_failed,
                                   .self = o};
    char *path = strdup(testdata(folder));
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        text file = {0};
        if (!ends_in(entry->d_name, ".json"))
            continue;
        text_printf(&file, "%s/%s", path, entry->d_name);
        assert_int_equal(suite_run_file(file.data, &options, &counts, &st), STATUS_OK);
        text_free(&file);
    }
    closedir(dir);
    free(path);
    schema_registry_free(remotes);
    print_message("%s: %u passed, %u failed\n", folder, counts.passed, counts.failed);
    return counts;
}

static void required(const char *folder, schema_draft draft, uint32_t at_least)
{
    outcome o = {0};
    if (!testdata(folder))
        skip();
    suite_counts counts = run_folder(folder, draft, false, &o);
    assert_int_equal(counts.failed, 0);
    assert_true(counts.passed >= at_least);
}

static void required_cases_of_2020_12(void **state)
{
    (void)state;
    required("jsonschema/tests/draft2020-12", SCHEMA_DRAFT_2020_12, 700);
}

static void required_cases_of_draft_7(void **state)
{
    (void)state;
    required("jsonschema/tests/draft7", SCHEMA_DRAFT_7, 500);
}

static void optional(const char *folder, schema_draft draft, bool format_assertion)
{
    outcome o = {0};
    if (!testdata(folder))
        skip();
    run_folder(folder, draft, format_assertion, &o);
    assert_int_equal(o.unexpected, 0);
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (exceptions[i].file)
            assert_true(o.excused[i] <= exceptions[i].at_most);
}

static void formats_of_2020_12(void **state)
{
    (void)state;
    optional("jsonschema/tests/draft2020-12/optional/format", SCHEMA_DRAFT_2020_12, true);
}

static void formats_of_draft_7(void **state)
{
    (void)state;
    optional("jsonschema/tests/draft7/optional/format", SCHEMA_DRAFT_7, true);
}

static void optional_cases_of_2020_12(void **state)
{
    (void)state;
    optional("jsonschema/tests/draft2020-12/optional", SCHEMA_DRAFT_2020_12, false);
}

static void optional_cases_of_draft_7(void **state)
{
    (void)state;
    optional("jsonschema/tests/draft7/optional", SCHEMA_DRAFT_7, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(required_cases_of_2020_12), cmocka_unit_test(required_cases_of_draft_7),
        cmocka_unit_test(formats_of_2020_12),        cmocka_unit_test(formats_of_draft_7),
        cmocka_unit_test(optional_cases_of_2020_12), cmocka_unit_test(optional_cases_of_draft_7),
    };
    return cmocka_run_group_tests_name("schema suite", tests, NULL, NULL);
}
