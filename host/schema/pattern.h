/* Regular expressions of JSON Schema (ECMA-262, as with the `u` flag) on PCRE2.
 *
 * The expression is parsed and rewritten, construct by construct, so PCRE2 sees nothing that ECMA-262 does
 * not have (no verbs, recursion, callouts, inline flags, possessive or atomic groups): \d and \w are ASCII,
 * `$` is only the very end, `.` stops at ECMA's line ends, \p takes ECMA's names. Matching is bounded by a
 * match limit; what runs into it counts as an error, never as an endless wait. Immutable after compiling,
 * thread-safe. */
#ifndef PENSTOCK_SCHEMA_PATTERN_H
#define PENSTOCK_SCHEMA_PATTERN_H
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define PATTERN_BYTES_MAX 8192U          /* of the expression's text */
#define PATTERN_NESTING_MAX 100U         /* groups inside each other */
#define PATTERN_COMPILED_MAX (64U << 10) /* bytes of the compiled expression */
#define PATTERN_MATCH_MAX 200000U        /* PCRE2 match limit of one match */
#define PATTERN_HEAP_KIB_MAX 4096U
#define PATTERN_DEPTH_MAX 20000U

typedef struct pattern pattern;
typedef enum pattern_result { PATTERN_NO = 0, PATTERN_YES = 1, PATTERN_LIMIT = -1 } pattern_result;

/* `text` need not end in NUL. STATUS_INVALID (bad expression) or STATUS_LIMIT. */
pattern *pattern_compile(const char *text, size_t len, status *st);
void pattern_free(pattern *p); /* NULL is fine */
/* Machine code for an expression that will see many strings. Before it is shared between threads. */
void pattern_speed_up(pattern *p);
/* Does it match anywhere in the string? `s` must be valid UTF-8. */
pattern_result pattern_match(const pattern *p, const char *s, size_t len);
/* Only the syntax, for `format: regex`. */
bool pattern_is_valid(const char *text, size_t len);
/* The PCRE2 text of an ECMA expression, for tests and messages; NULL and `st` if it is not one. Release with
 * free. */
char *pattern_translate(const char *text, size_t len, status *st);
#endif
