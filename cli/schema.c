/* `penstock schema …`: the schema engine without a server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/disk.h"
#include "complaint.h"
#include "exit_code.h"
#include "schema/compile.h"
#include "schema/document.h"
#include "schema/suite.h"
#include "schema/validate.h"
#include "schema_infer.h"
#include "tables.h"

#define ERRORS_MAX 50

static status_class draft_of(const invocation *inv, schema_draft *out, status *st)
{
    const char *given = flag_text(inv, "draft", "2020-12");
    if (strcmp(given, "2020-12") != 0 && strcmp(given, "7") != 0)
        return status_set(st, STATUS_INVALID, "--draft knows 2020-12 and 7, not `%s`", given);
    *out = strcmp(given, "7") == 0 ? SCHEMA_DRAFT_7 : SCHEMA_DRAFT_2020_12;
    return STATUS_OK;
}

static void on_failed(void *self, const suite_case *failed)
{
    (void)self;
    printf("FAILED %s: %s%s%s: %s\n", failed->file, failed->group, failed->test ? ": " : "",
           failed->test ? failed->test : "", failed->problem);
}

static status_class suite_run(const invocation *inv, const suite_options *options, suite_counts *counts,
                              status *st)
{
    for (unsigned i = 0; i < inv->n_args; i++) {
        if (suite_run_file(argument(inv, i), options, counts, st) != STATUS_OK)
            return st->class;
    }
    return STATUS_OK;
}

static int run_test(invocation *inv)
{
    status st;
    suite_counts counts = {0};
    suite_options options = {.format_assertion = flag_given(inv, "format-assertion"), .on_failed = on_failed};
    if (draft_of(inv, &options.draft, &st) != STATUS_OK)
        return complain_usage(&st);
    schema_registry *remotes = schema_registry_create();
    const char *folder = flag_text(inv, "remotes", NULL);
    status_class class = folder ? suite_load_remotes(remotes, folder, &st) : STATUS_OK;
    options.remotes = remotes;
    if (class == STATUS_OK)
        class = suite_run(inv, &options, &counts, &st);
    schema_registry_free(remotes);
    if (class != STATUS_OK)
        return complain("the cases cannot be run", &st);
    printf("%u passed, %u failed\n", counts.passed, counts.failed);
    return counts.failed ? EXIT_FAILED : EXIT_DONE;
}

/* Every document of a text: one JSON value, or one a line. */
typedef struct verdicts {
    const schema *schema;
    unsigned n, invalid;
    bool many; /* more than one document */
} verdicts;

static void errors_print(const char *name, const schema_errors *errors, const status *st)
{
    for (uint32_t i = 0; i < errors->n; i++) {
        const schema_error *e = &errors->items[i];
        printf("%s: %s: %s (%s)\n", name, *e->instance ? e->instance : "/", e->sentence, e->keyword);
    }
    if (errors->n == 0)
        printf("%s: %s%s%s\n", name, st->where, st->where[0] ? ": " : "", st->text);
}

static void document_judge(verdicts *v, const char *name, const json_t *document, status *parsed)
{
    schema_errors errors = {.arena = arena_create(0), .max = ERRORS_MAX};
    status_class class = document ? schema_validate(v->schema, document, &errors, parsed) : parsed->class;
    v->n++;
    if (class == STATUS_OK) {
        printf("%s: valid\n", name);
    } else {
        v->invalid++;
        errors_print(name, &errors, parsed);
    }
    arena_free(errors.arena);
}

static void lines_judge(verdicts *v, const char *file, const text *all)
{
    unsigned line = 0;
    for (const char *at = all->data; at && *at;) {
        size_t len = strcspn(at, "\n");
        line++;
        if (strspn(at, " \t\r") < len) {
            char name[4200];
            status st;
            json_t *document = document_parse(at, len, &st);
            snprintf(name, sizeof name, "%s:%u", file, line);
            document_judge(v, name, document, &st);
            json_decref(document);
        }
        at += len + (at[len] == '\n');
    }
}

static status_class input_read(const char *file, text *out, status *st)
{
    if (strcmp(file, "-") != 0)
        return disk_read(file, DOCUMENT_BYTES_MAX, out, st);
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof piece, stdin)) > 0;) {
        text_add_n(out, piece, n);
        if (out->len > DOCUMENT_BYTES_MAX)
            return status_set(st, STATUS_LIMIT, "standard input is longer than %u MiB",
                              DOCUMENT_BYTES_MAX >> 20);
    }
    return STATUS_OK;
}

/* NDJSON when the first line alone is a document and more follows. */
static bool is_lines(const text *all)
{
    status st;
    size_t len = strcspn(text_or_empty(all), "\n"), rest = len + strspn(text_or_empty(all) + len, " \t\r\n");
    json_t *first = rest < all->len ? document_parse(all->data, len, &st) : NULL;
    bool lines = first != NULL;
    json_decref(first);
    return lines;
}

static int judge(const schema *compiled, const char *file)
{
    status st;
    text all = {0};
    verdicts v = {.schema = compiled};
    if (input_read(file, &all, &st) != STATUS_OK) {
        text_free(&all);
        return complain("the document cannot be read", &st);
    }
    if (is_lines(&all)) {
        lines_judge(&v, file, &all);
        fprintf(stderr, "%u valid, %u invalid\n", v.n - v.invalid, v.invalid);
    } else {
        json_t *document = document_parse(text_or_empty(&all), all.len, &st);
        document_judge(&v, file, document, &st);
        json_decref(document);
    }
    text_free(&all);
    return v.invalid ? EXIT_INVALID : EXIT_DONE;
}

static int run_validate(invocation *inv)
{
    status st;
    schema_options options = {.format_annotation = flag_given(inv, "format-annotation")};
    const char *file = flag_text(inv, "schema", NULL);
    if (!file) {
        status_set(&st, STATUS_INVALID, "against which schema?");
        status_hint(&st, "--schema FILE");
        return complain_usage(&st);
    }
    if (draft_of(inv, &options.draft, &st) != STATUS_OK)
        return complain_usage(&st);
    json_t *document = document_read(file, &st);
    schema *compiled = document ? schema_compile(document, &options, &st) : NULL;
    json_decref(document);
    if (!compiled) {
        status_wrap(&st, "%s", file);
        return complain("the schema cannot be used", &st);
    }
    int code = judge(compiled, argument(inv, 0));
    schema_free(compiled);
    return code;
}

static const flag test_flags[] = {
    {"draft", 0, "2020-12|7", "for schemas that do not say ($schema); default 2020-12"},
    {"remotes", 0, "DIR", "documents for references below http://localhost:1234/"},
    {"format-assertion", 0, NULL, "`format` is checked, not only noted"},
    {0},
};
static const flag validate_flags[] = {
    {"file", 'f', "FILE|-", "the document, as the argument"},
    {"schema", 0, "FILE", "the JSON Schema"},
    {"draft", 0, "2020-12|7", "for a schema that does not say ($schema); default 2020-12"},
    {"format-annotation", 0, NULL, "`format` is only noted, not checked"},
    {0},
};

const command schema_commands[] = {
    {"schema", "test", "FILE…", 1, COMMAND_ARGS_MAX, test_flags,
     "runs files in the layout of the JSON-Schema-Test-Suite; prints each failing case",
     "schema test --draft 7 --remotes remotes tests/draft7/*.json", run_test, NULL},
    {"schema", "validate", "FILE|-", 1, 1, validate_flags,
     "checks a JSON document, or each line of NDJSON, against a schema",
     "schema validate --schema row.schema.json rows.ndjson", run_validate, NULL},
    {"schema", "infer", "FILE", 1, 1, schema_infer_flags,
     "proposes a datastore from the first rows of a file", "schema infer rows.csv --key sensor_data",
     schema_infer_run, NULL},
    {0},
};
