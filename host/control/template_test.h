/* A template's own tests: `given` rows go into datastores, everything is computed, and the stores named under
 * `expect` must hold exactly the expected rows. This module knows what a test says; where rows go and how
 * things are computed is the caller's (`penstock template test` makes a throw-away workspace for each test).
 */
#ifndef PENSTOCK_CONTROL_TEMPLATE_TEST_H
#define PENSTOCK_CONTROL_TEMPLATE_TEST_H
#include <jansson.h>
#include <stdint.h>

#include "base/text.h"
#include "control/definition.h"

/* What a test needs; each may block. */
typedef struct template_test_host {
    void *self;
    /* The test's clock: the newest given event time. */
    status_class (*set_now)(void *self, int64_t now_us, status *st);
    /* Rows into a datastore, as the rows route takes them; a rejected row is STATUS_INVALID. */
    status_class (*put)(void *self, const char *datastore, const json_t *rows, status *st);
    /* Waits until nothing is dirty any more. */
    status_class (*settle)(void *self, status *st);
    /* All rows of a store as objects; a new reference. */
    status_class (*read)(void *self, const object_reference *store, json_t **ret_rows, status *st);
} template_test_host;

/* STATUS_OK: it passed. STATUS_INVALID: it did not, `differences` says why, a line each. Anything else: it
 * could not be run. STATUS_NOT_FOUND: there is no such test. */
status_class template_test_run(const definition *d, const char *test, const template_test_host *host,
                               text *differences, status *st);

/* Whether each expected row finds one found row of its own that has its values (numbers within 1e-9 of each
 * other, times by the moment they name; columns that are not expected do not matter), and none is left over.
 * Adds a line for each that does not, with the differing cells where a found row has some of its values;
 * returns how many. */
unsigned rows_differ(const char *store, const json_t *expected, const json_t *found, text *differences);
#endif
