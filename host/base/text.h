/* Growing byte buffer, always NUL-terminated, for building answers, SQL values and messages.
 * Zero-initialise (`text t = {0}`), release with text_free. Not thread-safe. */
#ifndef PENSTOCK_BASE_TEXT_H
#define PENSTOCK_BASE_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text {
    char *data; /* NULL while empty; else data[len] == '\0' */
    size_t len, cap;
} text;

void text_free(text *t);
void text_clear(text *t); /* keeps the memory */
void text_reserve(text *t, size_t more);
void text_add(text *t, const char *s);
void text_add_n(text *t, const void *data, size_t len);
void text_add_char(text *t, char c);
__attribute__((format(printf, 2, 3))) void text_printf(text *t, const char *fmt, ...);
/* A JSON string with quotes. Bytes that are not UTF-8 become U+FFFD. */
void text_add_json_string(text *t, const char *s, size_t len);
/* Shortest decimal that reads back as the same double; "null" for NaN and infinities. */
void text_add_json_number(text *t, double value);
/* Hands the buffer over (to be released with free); the text is empty afterwards. Never NULL. */
char *text_take(text *t);
const char *text_or_empty(const text *t);

/* True if [data, data+len) is well-formed UTF-8 (no surrogates, no overlong forms). */
bool utf8_valid(const char *data, size_t len);
/* And without U+0000. *ascii_out: no character is longer than a byte. */
bool utf8_clean(const char *data, size_t len, bool *ascii_out);
#endif
