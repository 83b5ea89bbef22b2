/* Internationalised labels (IDNA 2008, RFC 5891/5892): is "xn--…" the encoding of a label that may exist?
 * Code points are judged by general category and the standard's tables of exceptions and contexts. Characters
 * that are refused only because normalisation would change them, and the bidirectional rule, are not looked
 * at. */
#ifndef PENSTOCK_SCHEMA_IDNA_H
#define PENSTOCK_SCHEMA_IDNA_H
#include <stdbool.h>
#include <stddef.h>

/* The label with its "xn--", at most 63 bytes. */
bool idna_is_a_label(const char *s, size_t len);
#endif
