#include "unpack.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { WINDOW_LOG_MAX = 25, GZIP_BITS = 15 + 16 };

void unpack_begin(unpack *u)
{
    *u = (unpack){.between = true};
}

void unpack_close(unpack *u)
{
    if (u->kind == UNPACK_GZIP && u->state)
        inflateEnd(u->state);
    if (u->kind == UNPACK_GZIP)
        free(u->state);
    if (u->kind == UNPACK_ZSTD)
        ZSTD_freeDStream(u->state);
    *u = (unpack){0};
}

static bool start_gzip(unpack *u)
{
    z_stream *z = calloc(1, sizeof *z);
    if (z && inflateInit2(z, GZIP_BITS) != Z_OK) {
        free(z);
        z = NULL;
    }
    u->state = z;
    return z != NULL;
}

static bool start_zstd(unpack *u)
{
    u->state = ZSTD_createDStream();
    return u->state && !ZSTD_isError(ZSTD_DCtx_setParameter(u->state, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

static bool look(unpack *u, const char *in, size_t len)
{
    static const char gzip[] = "\x1f\x8b", zstd[] = "\x28\xb5\x2f\xfd";
    u->kind = UNPACK_PLAIN;
    if (len >= 2 && !memcmp(in, gzip, 2))
        u->kind = UNPACK_GZIP;
    else if (len >= 4 && !memcmp(in, zstd, 4))
        u->kind = UNPACK_ZSTD;
    return u->kind == UNPACK_PLAIN || (u->kind == UNPACK_GZIP ? start_gzip(u) : start_zstd(u));
}

static void run_plain(const char **in, size_t *in_len, char *out, size_t cap, size_t *out_len)
{
    *out_len = *in_len < cap ? *in_len : cap;
    if (*out_len)
        memcpy(out, *in, *out_len);
    *in += *out_len;
    *in_len -= *out_len;
}

static void run_gzip(unpack *u, const char **in, size_t *in_len, char *out, size_t cap, size_t *out_len)
{
    z_stream *z = u->state;
    int code = Z_OK;
    if (u->between && !*in_len)
        return;
    z->next_in = (unsigned char *)*in;
    z->avail_in = (unsigned)*in_len;
    z->next_out = (unsigned char *)out;
    z->avail_out = (unsigned)cap;
    while (z->avail_out && (code == Z_STREAM_END ? z->avail_in > 0 : code == Z_OK)) {
        if (code == Z_STREAM_END)
            inflateReset(z);
        u->between = false;
        code = inflate(z, Z_NO_FLUSH);
        u->between = code == Z_STREAM_END;
    }
    if (code == Z_STREAM_END)
        inflateReset(z); /* the next member may come with the next piece */
    u->torn = code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR;
    *out_len = cap - z->avail_out;
    *in += *in_len - z->avail_in;
    *in_len = z->avail_in;
}

static void run_zstd(unpack *u, const char **in, size_t *in_len, char *out, size_t cap, size_t *out_len)
{
    ZSTD_inBuffer from = {*in, *in_len, 0};
    ZSTD_outBuffer to = {out, cap, 0};
    size_t code = 1, in_before = SIZE_MAX, out_before = 0;
    while (to.pos < to.size && !ZSTD_isError(code) && (from.pos != in_before || to.pos != out_before)) {
        in_before = from.pos;
        out_before = to.pos;
        if (u->between && from.pos == from.size)
            break;
        code = ZSTD_decompressStream(u->state, &to, &from);
        u->between = code == 0;
    }
    u->torn = ZSTD_isError(code);
    *out_len = to.pos;
    *in += from.pos;
    *in_len -= from.pos;
}

bool unpack_run(unpack *u, const char **in, size_t *in_len, char *out, size_t cap, size_t *out_len)
{
    *out_len = 0;
    if (u->kind == UNPACK_UNKNOWN && !*in_len)
        return true;
    if (u->kind == UNPACK_UNKNOWN && !look(u, *in, *in_len))
        return false;
    if (u->torn)
        *in_len = 0;
    else if (u->kind == UNPACK_GZIP)
        run_gzip(u, in, in_len, out, cap, out_len);
    else if (u->kind == UNPACK_ZSTD)
        run_zstd(u, in, in_len, out, cap, out_len);
    else
        run_plain(in, in_len, out, cap, out_len);
    return true;
}

bool unpack_is_whole(const unpack *u)
{
    return !u->torn && (u->kind == UNPACK_PLAIN || u->kind == UNPACK_UNKNOWN || u->between);
}
