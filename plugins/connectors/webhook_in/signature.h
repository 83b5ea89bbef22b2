/* Is it signed? Signatures of what was sent, compared in constant time; text of hex and base64. */
#ifndef PENSTOCK_WEBHOOK_SIGNATURE_H
#define PENSTOCK_WEBHOOK_SIGNATURE_H
#include <stdbool.h>
#include <stddef.h>

#define SIGNATURE_MAX 256 /* bytes */

typedef enum signature_text { SIGNATURE_HEX, SIGNATURE_BASE64 } signature_text;

void signature_begin(void); /* once a process: no file of the machine is read */
/* How many bytes, 0 = it is not such a text, or longer than `cap`. Of base64 both alphabets, with or without
 * `=`. */
size_t signature_read(signature_text form, const char *s, size_t len, unsigned char *out, size_t cap);
bool signature_same(const void *a, size_t a_len, const void *b, size_t b_len);
bool signature_hmac(const void *key, size_t key_len, const void *text, size_t len, const unsigned char *given,
                    size_t given_len);
typedef struct evp_pkey_st signature_key;
signature_key *signature_key_read(const char *pem); /* NULL: it is no public key of an elliptic curve */
void signature_key_free(signature_key *k);
bool signature_ecdsa(signature_key *k, const void *text, size_t len, const unsigned char *given,
                     size_t given_len);
#endif
