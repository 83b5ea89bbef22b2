/* Runs files in the layout of the JSON-Schema-Test-Suite: a list of {description, schema, tests:
 * [{description, data, valid}]}. The engine of `penstock schema test`. */
#ifndef PENSTOCK_SCHEMA_SUITE_H
#define PENSTOCK_SCHEMA_SUITE_H
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "schema/compile.h"

typedef struct suite_case {
    const char *file, *group, *test; /* test is NULL when the group's schema does not compile */
    bool expected;
    const char *problem; /* "valid: false expected, true found", or the compiler's sentence */
} suite_case;

typedef struct suite_options {
    schema_draft draft;
    bool format_assertion;
    const schema_registry *remotes;                          /* may be NULL */
    void (*on_failed)(void *self, const suite_case *failed); /* may be NULL; strings live for the call */
    void *self;
} suite_options;

typedef struct suite_counts {
    uint32_t passed, failed;
} suite_counts;

#define SUITE_REMOTE_BASE "http://localhost:1234/"
/* Every .json file under `folder` as SUITE_REMOTE_BASE<path>. */
status_class suite_load_remotes(schema_registry *registry, const char *folder, status *st);
/* Adds to the counts. A group whose schema does not compile counts each of its tests as failed. An error only
 * if the file cannot be read or has another layout. */
status_class suite_run_file(const char *path, const suite_options *options, suite_counts *counts, status *st);
#endif
