/* A text that is put together: URLs, form fields, JSON. Grows as needed; what failed for want of memory is
 * kept, and asked once at the end. The text is wiped when it is freed, since it may hold secrets. */
#ifndef PULL_WORDING_H
#define PULL_WORDING_H
#include <stdbool.h>
#include <stddef.h>

typedef struct wording {
    char *data; /* NUL-terminated, or NULL when nothing was added */
    size_t len, cap;
    bool failed;
} wording;

/* How a text is written so that it stays one value. */
typedef enum wording_as { WORDING_PLAIN, WORDING_URL, WORDING_JSON } wording_as;

void wording_free(wording *w); /* zeroed is fine */
void wording_clear(wording *w);
void wording_add(wording *w, wording_as as, const char *text, size_t len);
void wording_add_text(wording *w, wording_as as, const char *text);
/* name=value behind `?` or `&`, whichever must stand there; both are encoded. */
void wording_add_query(wording *w, const char *name, const char *value);
/* A text as one word that sscanf's %s reads, behind a blank; and back. False: it is none, or does not fit. */
void wording_add_word(wording *w, const char *text);
bool wording_read_word(const char *word, char *out, size_t cap);
const char *wording_text(const wording *w); /* never NULL */
#endif
