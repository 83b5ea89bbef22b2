/* What is answered about rows that were sent: intake's verdict as JSON and as HTTP status. Built by hand, for
 * this is the hot path. */
#ifndef PENSTOCK_SERVE_VERDICT_H
#define PENSTOCK_SERVE_VERDICT_H
#include <stdbool.h>

#include "base/text.h"
#include "flow/intake.h"

/* 202 accepted by the journal; 200 when the rows are settled, or when there was nothing to wait for. For
 * verdicts of class STATUS_OK. `waits`: the request said wait=stored. */
int verdict_status(const intake_verdict *v, bool waits);
/* For the other classes: 400 unreadable, 413 too much for one body, 429 the journal is full, 503. */
int verdict_refusal_status(const intake_verdict *v);
/* {received, accepted, rejected, stored?, duplicate?, dead?, repeated?, errors: [{row, line?, column?,
 * pointer, code, detail}]}; `rejected` may be greater than the number of errors shown. */
void verdict_body(const intake_verdict *v, text *out);
#endif
