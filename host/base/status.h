/* The one error type: a class that decides policy and a sentence "what failed: cause" for people.
 *
 * A function that can fail returns its status_class and takes a `status *` last, which must not be NULL and
 * is written only on failure (callers may pass an uninitialised one). It is returned up and logged once, at
 * the border. `where` names the place in the input: "file:line:column", a JSON Pointer, or "column:row";
 * `hint` says what to try. */
#ifndef PENSTOCK_BASE_STATUS_H
#define PENSTOCK_BASE_STATUS_H
#include <stdarg.h>
#include <stdint.h>

typedef enum status_class {
    STATUS_OK = 0,
    STATUS_INVALID,     /* the input is wrong; retrying it cannot help (HTTP 400/422, exit 7) */
    STATUS_NOT_FOUND,   /* (404, exit 4) */
    STATUS_CONFLICT,    /* state or precondition (409/412, exit 6) */
    STATUS_DENIED,      /* who asks may not (401/403, exit 5) */
    STATUS_LIMIT,       /* a named limit is reached; later may be fine (413/429) */
    STATUS_UNAVAILABLE, /* the far side is away; retry with back-off (503, exit 8) */
    STATUS_TIMEOUT,     /* a deadline passed (504, exit 8) */
    STATUS_CANCELLED,   /* somebody asked for it to end */
    STATUS_UNSUPPORTED, /* not offered here */
    STATUS_INTERNAL,    /* a bug of ours */
} status_class;

typedef struct status {
    status_class class;
    char where[128];
    char text[448];
    char hint[160];
} status;

/* Fills `st` and returns `class`. Thread-safe; text that does not fit is cut at a UTF-8 boundary. */
__attribute__((format(printf, 3, 4))) status_class status_set(status *st, status_class class, const char *fmt,
                                                              ...);
/* Same, with the place. `where` may be NULL. */
__attribute__((format(printf, 4, 5))) status_class status_at(status *st, status_class class,
                                                             const char *where, const char *fmt, ...);
/* Puts "fmt: " before the text that is there and returns its class: context on the way up. */
__attribute__((format(printf, 2, 3))) status_class status_wrap(status *st, const char *fmt, ...);
/* Sets what to try; returns the class. */
__attribute__((format(printf, 2, 3))) status_class status_hint(status *st, const char *fmt, ...);
/* STATUS_INTERNAL etc. from errno: "what: strerror". */
status_class status_errno(status *st, int error, const char *what);
/* "invalid", "not_found", …: stable words for logs and problem codes. */
const char *status_class_name(status_class class);
#endif
