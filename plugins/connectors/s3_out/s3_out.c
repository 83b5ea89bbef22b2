/* A sink that makes an object of each batch. The object's key is made of the batch's id, which is the same on
 * every try, and its bytes follow from the rows alone: a batch that is written again replaces itself, so the
 * bucket has each row once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "bucket.h"
#include "csv.h"
#include "penstock/define.h"

enum { ANSWER_MAX = 1024 * 1024, KEY_MAX = 1024, GZIP_BITS = 15 + 16, MEMORY_LEVEL = 8 };

typedef struct s3_out {
    const pst_host *host;
    bucket bucket;
    bool csv, gzip;
    pst_text text;
    unsigned char *packed;
    size_t packed_cap;
} s3_out;

static void on_destroy(void *self)
{
    s3_out *s = self;
    if (!s)
        return;
    bucket_close(&s->bucket);
    pst_text_free(&s->text);
    free(s->packed);
    free(s);
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    const char *format = host->config_text(host, "/format");
    s3_out *s = calloc(1, sizeof *s);
    if (!s)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    s->host = host;
    s->csv = format && !strcmp(format, "csv");
    s->gzip = host->config_flag(host, "/gzip");
    pst_status st = bucket_open(&s->bucket, host, ANSWER_MAX, error);
    if (st) {
        on_destroy(s);
        return st;
    }
    *self = s;
    return PST_OK;
}

static pst_status write_text(s3_out *s, const pst_outgoing *batch, pst_error *error)
{
    pst_rows rows;
    pst_status st = pst_rows_open(batch->schema, batch->array, &rows, error);
    pst_text_clear(&s->text);
    if (!st && s->csv)
        csv_write(&rows, &s->text);
    for (uint32_t i = 0; !st && !s->csv && i < rows.n_rows; i++) {
        pst_row_json(&rows, i, 0, &s->text);
        pst_text_add(&s->text, "\n", 1);
    }
    pst_rows_close(&rows);
    return st || !s->text.failed ? st : pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a batch");
}

/* Without name and time, so that the same rows are the same bytes. */
static pst_status pack(s3_out *s, size_t *len_out, pst_error *error)
{
    z_stream z = {.next_in = (unsigned char *)s->text.data, .avail_in = (unsigned)s->text.len};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory to pack a batch");
    size_t most = deflateBound(&z, s->text.len);
    if (most > s->packed_cap) {
        free(s->packed);
        s->packed = malloc(most);
        s->packed_cap = s->packed ? most : 0;
    }
    z.next_out = s->packed;
    z.avail_out = (unsigned)s->packed_cap;
    bool whole = s->packed && deflate(&z, Z_FINISH) == Z_STREAM_END;
    *len_out = z.total_out;
    deflateEnd(&z);
    return whole ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory to pack a batch");
}

static pst_status on_write(void *self, const pst_call *call, const pst_outgoing *batch, pst_refused *refused,
                           size_t cap, size_t *n_refused, pst_error *error)
{
    s3_out *s = self;
    char key[KEY_MAX + 1];
    const char *prefix = s->host->config_text(s->host, "/prefix");
    (void)refused, (void)cap, (void)n_refused;
    if (snprintf(key, sizeof key, "%s%s.%s%s", prefix ? prefix : "", batch->batch_id,
                 s->csv ? "csv" : "ndjson", s->gzip ? ".gz" : "") >= (int)sizeof key)
        return pst_fail(error, PST_E_CONFIG, "/prefix", "the keys become longer than %d bytes", KEY_MAX);
    pst_status st = write_text(s, batch, error);
    const char *data = s->text.data;
    size_t len = s->text.len;
    if (!st && s->gzip) {
        st = pack(s, &len, error);
        data = (const char *)s->packed;
    }
    const char *type = s->gzip ? "application/gzip" : s->csv ? "text/csv" : "application/x-ndjson";
    return st ? st : bucket_write(&s->bucket, call, key, type, data, len, error);
}

/* The credential may write and nothing else: what is tried is an object of its own. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    static const char text[] = "Penstock may write here.\n";
    s3_out *s = self;
    char key[KEY_MAX + 1];
    const char *prefix = s->host->config_text(s->host, "/prefix");
    snprintf(key, sizeof key, "%spenstock-check.txt", prefix ? prefix : "");
    return bucket_write(&s->bucket, call, key, "text/plain", text, sizeof text - 1, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_sink sink = {sizeof sink, 0, on_write};
    static const pst_check check = {sizeof check, 0, on_check};
    if (!strcmp(id, PST_IF_SINK))
        return &sink;
    return !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.s3-out", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Objects in S3 that rows go out to", .licence = "Apache-2.0",
           .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
