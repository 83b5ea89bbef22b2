/* The rewriting half of schema/pattern.h; the matching half includes it and nobody else. */
#ifndef PENSTOCK_SCHEMA_PATTERN_TRANSLATE_H
#define PENSTOCK_SCHEMA_PATTERN_TRANSLATE_H
#include "base/status.h"
#include "base/text.h"
#include "schema/pattern.h"

/* Appends the PCRE2 expression. */
status_class pattern_translate_text(const char *s, size_t len, text *out, status *st);
#endif
