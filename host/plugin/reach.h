/* The places in the network that a plugin's config names: what its cell may reach, and nothing else. Taken
 * from
 *   - any text that is an absolute URL with a host;
 *   - texts whose schema has the format uri, uri-reference, hostname, idn-hostname, ipv4, ipv6 (a host; its
 * port is the integer `port` beside it, if there is one) or penstock-address ("host:port");
 *   - secrets whose value is a URL, when the plugin asks for them (reach_of_url).
 * A URL without a port has its scheme's, where that is known, else any. Pure functions. */
#ifndef PENSTOCK_PLUGIN_REACH_H
#define PENSTOCK_PLUGIN_REACH_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "loop/broker_rules.h"

#define REACH_FORMAT_ADDRESS "penstock-address"

/* How many; what is beyond BROKER_REACH_MAX is left out (and thereby refused). */
size_t reach_of_config(const json_t *schema, const json_t *config, broker_reach ret[BROKER_REACH_MAX]);
/* False if the text is no absolute URL with a host. */
bool reach_of_url(const char *text, broker_reach *out);
/* "host:port", "host", "[v6]:port", "v6" */
bool reach_of_address(const char *text, broker_reach *out);
#endif
