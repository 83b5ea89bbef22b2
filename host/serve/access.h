/* Who may: the router's two seams to the control plane, API keys and kept answers, made of `services`. */
#ifndef PENSTOCK_SERVE_ACCESS_H
#define PENSTOCK_SERVE_ACCESS_H
#include <jansson.h>

#include "serve/router.h"
#include "serve/services.h"

auth_source access_auth(services *s);
idempotency_store access_idempotency(services *s);

/* Scopes as the control plane keeps them, [{wid, verbs, reference}], into the principal. What it cannot read
 * allows nothing. */
void access_scopes_read(const json_t *scopes, principal *out);
/* "verb[,verb]:reference" or "verb[,verb]" → one such object for the workspace (0 = all and the platform);
 * NULL if it is none. A new reference. */
json_t *access_scope_parse(const char *word, int32_t wid);
#endif
