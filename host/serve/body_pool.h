/* Request bodies in memory: buffers in powers of two, kept for the next request up to a bound, because
 * freeing and faulting in 100 KB for every ingest body costs more than receiving it. Loop thread only. */
#ifndef PENSTOCK_SERVE_BODY_POOL_H
#define PENSTOCK_SERVE_BODY_POOL_H
#include <stdbool.h>
#include <stddef.h>

typedef struct body_pool body_pool;
typedef struct body_buffer {
    char *data;
    size_t len, cap; /* cap includes the NUL that is always there */
} body_buffer;

/* `limit` bytes in use at one time; at most `kept` bytes lie ready. */
body_pool *body_pool_create(size_t limit, size_t kept);
void body_pool_free(body_pool *p);
/* Room for `size` bytes and the NUL. false = the limit is reached. The buffer must be empty ({0}). */
bool body_pool_take(body_pool *p, size_t size, body_buffer *out);
/* Appends; grows when needed. false = the limit is reached (the buffer stays as it was). */
bool body_pool_append(body_pool *p, body_buffer *b, const void *data, size_t len);
void body_pool_give(body_pool *p, body_buffer *b); /* empties it; an empty one is fine */
#endif
