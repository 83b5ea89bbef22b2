/* Whom a connection trusts, who it says we are, and through whom it goes: the settings `tls` and `proxy`,
 * whose bytes come from the host (penstock.material). The same words for every connector that pulls:
 *
 *   tls:   {ca: {file: ca.pem}, certificate: {pem: …}, key: {secret: client-key}}
 *   proxy: {url: "http://proxy.example.com:3128", user: penstock, password: proxy-password}
 *
 * With `ca` only that is trusted, otherwise the system's authorities. */
#ifndef PULL_TRUST_H
#define PULL_TRUST_H
#include "transport.h"

/* Sets all of it on the handle, for all its transfers. */
pst_status trust_apply(transport *t, const pst_call *call, pst_error *error);
#endif
