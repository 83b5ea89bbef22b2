/* URLs of http and https. False: it is none, or does not fit. After libcurl was loaded (transport_begin). */
#ifndef PULL_URL_H
#define PULL_URL_H
#include <stdbool.h>
#include <stddef.h>

enum { PULL_URL_MAX = 4096 };

/* "https://api.example.com:443"; with `path` that too, and a port only if it is not the usual one. */
bool url_show(const char *url, bool path, char *out, size_t cap);
/* `url`, which may be relative, seen from `base`. */
bool url_resolve(const char *base, const char *url, char out[PULL_URL_MAX]);
#endif
