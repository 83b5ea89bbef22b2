/* AWS Signature, version 4: what stands in the header Authorization of a request. As the "Authenticating
 * Requests" chapters of the S3 API reference describe it; paths are taken as they are sent, as S3 wants it.
 * Pure functions. */
#ifndef S3_SIGN_H
#define S3_SIGN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGN_HASH_MAX = 65, SIGN_TIME_MAX = 17, SIGN_OUT_MAX = 1024 };

typedef struct sign_header {
    const char *name, *value; /* name in lower case */
} sign_header;

typedef struct sign_request {
    const char *method;
    const char *path;           /* encoded, as it is sent */
    const char *query;          /* encoded, sorted by name, "" = none */
    const sign_header *headers; /* all of them are signed; sorted by name, with host */
    size_t n_headers;
    const char *payload; /* its hash (sign_hash) */
} sign_request;

typedef struct sign_key {
    const char *access, *secret, *region, *service;
} sign_key;

/* SHA-256 in hexadecimal digits. */
void sign_hash(const void *data, size_t len, char out[SIGN_HASH_MAX]);
/* 20130524T000000Z */
void sign_time(int64_t at_us, char out[SIGN_TIME_MAX]);
/* The value of Authorization. False: it does not fit. */
bool sign_authorize(const sign_request *r, const sign_key *key, const char *time, char out[SIGN_OUT_MAX]);
#endif
