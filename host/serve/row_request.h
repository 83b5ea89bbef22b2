/* What the routes that take rows read of a request. Functions that return false have answered with a problem.
 */
#ifndef PENSTOCK_SERVE_ROW_REQUEST_H
#define PENSTOCK_SERVE_ROW_REQUEST_H
#include "base/text.h"
#include "flow/line_reader.h"
#include "serve/http.h"

#define ROW_REQUEST_BYTES (16 << 20)   /* a body as sent */
#define ROW_REQUEST_WAIT_US 30000000LL /* of ?wait=stored */

/* ?wait=journal|stored */
bool row_request_wait(http_request *r, bool *waits_out);
/* ?precision= */
bool row_request_precision(http_request *r, line_precision *out);
/* The body as it is, or what it inflates to, which then lies in `plain`. */
bool row_request_body(http_request *r, text *plain, const char **body_out, size_t *len_out);
/* The client's key is one of its own, of this target and of this body: with another body it is another
 * request, and its rows are taken. NULL = none was sent. */
bool row_request_key(http_request *r, const char *target, const char *body, size_t len, const char **out);
#endif
