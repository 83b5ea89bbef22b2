/* The Link header (RFC 8288): where the next page is. */
#ifndef PULL_LINK_H
#define PULL_LINK_H
#include <stdbool.h>
#include <stddef.h>

/* The target of the first link whose `rel` has the word next; several headers may stand in `value`, joined by
 * commas. False: there is none, or it does not fit. */
bool link_next(const char *value, char *out, size_t cap);
#endif
