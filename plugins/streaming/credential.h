/* Who a connector is at its broker, and what it shows there: a name of its own that stays the same, secrets,
 * certificates. Fetched at use and wiped after. One thread, inside a call. */
#ifndef STREAMING_CREDENTIAL_H
#define STREAMING_CREDENTIAL_H
#include "penstock/batch.h"

enum { CREDENTIAL_NAME_MAX = 128, CREDENTIAL_SECRET_MAX = 4096 };

/* "penstock-workspace-instance-…": the end is random and kept, since two hosts with the same names must not
 * take each other's place. */
pst_status credential_own_name(const pst_host *host, const pst_call *call, char out[CREDENTIAL_NAME_MAX],
                               pst_error *error);
/* The connector runs for a person who tries its settings, beside the one that works. */
bool credential_is_trial(const pst_host *host);
/* The secret that a setting names; "" where the setting is absent. Wipe it with explicit_bzero. */
pst_status credential_secret(const pst_host *host, const pst_call *call, const char *path, char *out,
                             size_t cap, pst_error *error);
/* The bytes that a setting of penstock.material stands for; none where it is absent. */
pst_status credential_pem(const pst_host *host, const pst_call *call, const char *path, pst_blob *out,
                          pst_error *error);
void credential_release(pst_blob *pem); /* zeroed is fine */
#endif
