/* Line protocol whose strings hold no line ends: a body must say the same as its lines one by one, each read
 * by a decoder that remembers nothing of a line before. Shared with the fuzzer of line protocol. */
#ifndef PENSTOCK_TESTS_LINES_APART_H
#define PENSTOCK_TESTS_LINES_APART_H
#include "flow/decode.h"

/* What differs first, and in *line_out on which line; NULL: nothing does. */
const char *lines_apart(const decode_plan *plan, const decode_context *context, const char *body, size_t len,
                        uint64_t *line_out);
#endif
