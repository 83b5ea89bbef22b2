/* libcurl, loaded when it is first needed: with the libraries that it brings along it weighs a megabyte a
 * process, and most notifiers are silent. late.c defines the functions that the plugins use under their own
 * names, so callers include <curl/curl.h> and call them as always; before late_bind() only the freeing ones
 * may be called, with NULL. One thread. */
#ifndef PLUGINS_LATE_H
#define PLUGINS_LATE_H
#include "penstock/batch.h"

#define LATE_CURL "libcurl.so.4"

/* Loads the library and finds every function in it. UNAVAILABLE, naming the library: it is not installed, or
 * too old; it may be tried again. Cheap when it was done before. */
pst_status late_bind(const char *library, pst_error *error);
#endif
