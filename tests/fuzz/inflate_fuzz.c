/* Bytes as a gzip and as a zstd body: never more than the caps comes out. */
#include <assert.h>
#include <stdint.h>

#include "flow/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text out = {0};
    status st;
    for (int coding = INFLATE_GZIP; coding <= INFLATE_ZSTD; coding++) {
        if (inflate_body((inflate_coding)coding, data, size, LIMIT, &out, &st) == STATUS_OK)
            assert(out.len <= LIMIT);
        assert(out.cap <= 4 * LIMIT);
    }
    text_free(&out);
    return 0;
}
