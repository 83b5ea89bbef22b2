/* Validate: columns that a plugin handed over are checked by the same rules as decoded bytes.
 *
 * Columns are taken by name. One that the store does not have rejects the rows in which it is not null (code
 * `additional`; names that begin with `_` are the plugin's own and passed over); one that the batch does not
 * have is absent. An integer column serves a number column, text in RFC 3339 form serves a timestamp column;
 * anything else of another type rejects the rows (code `type`). Used by one thread at a time; once warm it
 * does not allocate a row. */
#ifndef PENSTOCK_FLOW_VALIDATE_H
#define PENSTOCK_FLOW_VALIDATE_H
#include "base/batch.h"
#include "flow/plan.h"

typedef struct validator validator;

typedef struct validate_reject {
    uint32_t row;       /* of the input */
    const char *code;   /* row_reason_name, or "time_out_of_window" */
    const char *column; /* "" = the row as a whole */
    char detail[128];
} validate_reject;

typedef struct validate_result { /* lives until the validator's next use */
    batch rows;
    const validate_reject *rejects;
    uint32_t n_rejects;
} validate_result;

validator *validator_create(void);
void validator_free(validator *v); /* NULL is fine */
/* `shift_us` is added to event times before the window is asked. */
void validate_columns(validator *v, const datastore_plan *store, const batch *rows, const char *const *names,
                      int64_t now_us, int64_t shift_us, validate_result *out);
#endif
