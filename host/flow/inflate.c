/* Output is made in steps, and the caps are asked after each: at most one step beyond a cap is ever in
 * memory. */
#include "flow/inflate.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#define STEP_BYTES ((size_t)64 << 10)
#define WINDOW_LOG_MAX 23 /* zstd: 8 MiB, what RFC 8878 asks of a receiver */

bool inflate_coding_parse(const char *word, inflate_coding *out)
{
    if (!word || !*word || strcasecmp(word, "identity") == 0)
        *out = INFLATE_IDENTITY;
    else if (strcasecmp(word, "gzip") == 0 || strcasecmp(word, "x-gzip") == 0)
        *out = INFLATE_GZIP;
    else if (strcasecmp(word, "zstd") == 0)
        *out = INFLATE_ZSTD;
    else
        return false;
    return true;
}

static status_class check_caps(const text *out, size_t len, size_t limit, status *st)
{
    if (out->len > limit)
        return status_set(st, STATUS_LIMIT, "compressed body: more than the limit of %zu bytes comes out",
                          limit);
    if (out->len > INFLATE_RATIO_FREE && out->len / INFLATE_RATIO_MAX > len)
        return status_set(st, STATUS_LIMIT, "compressed body: expands more than %u times", INFLATE_RATIO_MAX);
    return STATUS_OK;
}

/* One member to its end. */
static status_class gzip_member(z_stream *z, size_t len, size_t limit, text *out, status *st)
{
    int code;
    do {
        text_reserve(out, STEP_BYTES);
        z->next_out = (Bytef *)out->data + out->len;
        z->avail_out = (uInt)STEP_BYTES;
        code = inflate(z, Z_NO_FLUSH);
        out->len += STEP_BYTES - z->avail_out;
        out->data[out->len] = '\0';
        if (code != Z_OK && code != Z_STREAM_END)
            return code == Z_BUF_ERROR
                       ? status_set(st, STATUS_INVALID, "gzip body: cut off")
                       : status_set(st, STATUS_INVALID, "gzip body: %s", z->msg ? z->msg : "not gzip");
        status_class class = check_caps(out, len, limit, st);
        if (class != STATUS_OK)
            return class;
    } while (code != Z_STREAM_END);
    return STATUS_OK;
}

static status_class inflate_gzip(const void *data, size_t len, size_t limit, text *out, status *st)
{
    z_stream z = {.next_in = (z_const Bytef *)data, .avail_in = (uInt)len};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return status_set(st, STATUS_INTERNAL, "gzip body: zlib does not start");
    status_class class = STATUS_OK;
    unsigned members = 0;
    do {
        if (++members > INFLATE_MEMBERS_MAX)
            class = status_set(st, STATUS_LIMIT, "gzip body: more than %u members", INFLATE_MEMBERS_MAX);
        else
            class = gzip_member(&z, len, limit, out, st);
    } while (class == STATUS_OK && z.avail_in > 0 && inflateReset(&z) == Z_OK);
    inflateEnd(&z);
    return class;
}

static status_class zstd_frames(ZSTD_DCtx *context, ZSTD_inBuffer *in, size_t limit, text *out, status *st)
{
    size_t left = 1;
    while (left != 0 || in->pos < in->size) {
        text_reserve(out, STEP_BYTES);
        ZSTD_outBuffer to = {out->data + out->len, STEP_BYTES, 0};
        size_t before = in->pos;
        left = ZSTD_decompressStream(context, &to, in);
        if (ZSTD_isError(left))
            return status_set(st, STATUS_INVALID, "zstd body: %s", ZSTD_getErrorName(left));
        out->len += to.pos;
        out->data[out->len] = '\0';
        status_class class = check_caps(out, in->size, limit, st);
        if (class != STATUS_OK)
            return class;
        if (left != 0 && in->pos == before && to.pos == 0)
            return status_set(st, STATUS_INVALID, "zstd body: cut off");
    }
    return STATUS_OK;
}

static status_class inflate_zstd(const void *data, size_t len, size_t limit, text *out, status *st)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return status_set(st, STATUS_INTERNAL, "zstd body: libzstd does not start");
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    ZSTD_inBuffer in = {data, len, 0};
    status_class class = zstd_frames(context, &in, limit, out, st);
    ZSTD_freeDCtx(context);
    return class;
}

status_class inflate_body(inflate_coding coding, const void *data, size_t len, size_t limit, text *out,
                          status *st)
{
    text_clear(out);
    if (len > UINT32_MAX)
        return status_set(st, STATUS_LIMIT, "compressed body: longer than 4 GiB");
    if (len > 0 && coding == INFLATE_GZIP)
        return inflate_gzip(data, len, limit, out, st);
    if (len > 0 && coding == INFLATE_ZSTD)
        return inflate_zstd(data, len, limit, out, st);
    if (coding != INFLATE_IDENTITY)
        return status_set(st, STATUS_INVALID, "compressed body: empty");
    if (len > limit)
        return status_set(st, STATUS_LIMIT, "body: more than the limit of %zu bytes", limit);
    text_add_n(out, data, len);
    return STATUS_OK;
}
