/* A stable name for some bytes: BLAKE2b-128 as 32 hexadecimal digits. Same input, same name, on every
 * machine. */
#ifndef PENSTOCK_BASE_DIGEST_H
#define PENSTOCK_BASE_DIGEST_H
#include <stddef.h>

#define DIGEST_TEXT_SIZE 33
void digest_text(char out[DIGEST_TEXT_SIZE], const void *data, size_t len);
#endif
