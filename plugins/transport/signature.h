/* The signature that whoever gets a message can check: HMAC-SHA-256 of "<seconds>.<body>" with a shared
 * secret. */
#ifndef PLUGINS_SIGNATURE_H
#define PLUGINS_SIGNATURE_H
#include "penstock/batch.h"

enum { SIGNATURE_SIZE = 120 };

/* "t=<seconds>,v1=<hex>" with the secret that the setting at `path` names. */
pst_status signature_make(const pst_host *host, const pst_call *call, const char *path, const void *body,
                          size_t len, char out[SIGNATURE_SIZE], pst_error *error);
#endif
