/* Formats about names and addresses of the net; reached through schema/format.h. */
#ifndef PENSTOCK_SCHEMA_FORMAT_NET_H
#define PENSTOCK_SCHEMA_FORMAT_NET_H
#include <stdbool.h>
#include <stddef.h>

bool format_is_ipv4(const char *s, size_t len);
bool format_is_ipv6(const char *s, size_t len);
/* RFC 1123 names; labels that begin with xn-- must be A-labels (schema/idna.h). */
bool format_is_hostname(const char *s, size_t len);
bool format_is_email(const char *s, size_t len);
bool format_is_idn_email(const char *s, size_t len);
bool format_is_uri(const char *s, size_t len);
bool format_is_uri_reference(const char *s, size_t len);
bool format_is_iri(const char *s, size_t len);
bool format_is_iri_reference(const char *s, size_t len);
bool format_is_uri_template(const char *s, size_t len);
#endif
