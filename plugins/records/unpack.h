/* Takes gzip and zstd off bytes that come in pieces; which of them it is, if any, is seen from the first
 * bytes. Several members or frames in a row are one text. Memory is bounded whatever comes: a zstd window of
 * more than 32 MiB is refused as damage. */
#ifndef RECORDS_UNPACK_H
#define RECORDS_UNPACK_H
#include <stdbool.h>
#include <stddef.h>

typedef enum unpack_kind { UNPACK_UNKNOWN, UNPACK_PLAIN, UNPACK_GZIP, UNPACK_ZSTD } unpack_kind;

enum { UNPACK_LOOK_BYTES = 4 }; /* so many first bytes, if there are, must come in the first piece */

typedef struct unpack {
    unpack_kind kind;
    void *state;  /* z_stream or ZSTD_DStream */
    bool between; /* at the end of a member or frame, so the text may end here */
    bool torn;    /* damaged: nothing more comes out */
} unpack;

void unpack_begin(unpack *u); /* zeroed, or closed */
void unpack_close(unpack *u); /* zeroed is fine */
/* Moves *in and *in_len on and fills `out`; *out_len 0 and *in_len 0: it needs more. False: no memory. */
bool unpack_run(unpack *u, const char **in, size_t *in_len, char *out, size_t cap, size_t *out_len);
/* No more bytes come: did the packed data end where they should? */
bool unpack_is_whole(const unpack *u);
#endif
