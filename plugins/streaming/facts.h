/* What stands beside a message, as the `_meta` of its payload: the topic, and behind it facts with names,
 * each as U+001F name = value, which `decode` reads as $meta.name. */
#ifndef STREAMING_FACTS_H
#define STREAMING_FACTS_H
#include <stddef.h>
#include <stdint.h>

enum { FACTS_MAX = 65535 }; /* bytes; facts that do not fit are left out */

typedef struct facts {
    char text[FACTS_MAX + 1]; /* NUL-terminated */
    size_t len;
} facts;

/* In a topic that is no text, what is not printable is "?": it cannot pass for a fact. */
void facts_begin(facts *f, const char *topic, size_t len);
/* A value that is no text (not UTF-8, or control characters) stands in hexadecimal, under name_hex. */
void facts_add(facts *f, const char *name, const void *value, size_t len);
void facts_add_number(facts *f, const char *name, int64_t value);
#endif
