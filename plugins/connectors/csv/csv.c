/* The connector: file after file in the order of their names, records cut out and handed over undecoded.
 *
 *   no file ──pick──▶ file open ──records──▶ … ──end──▶ a later file, or the path is another file now?
 *                        ▲                                  yes: hand over what is left, then no file
 *                        └────────────── follow: idle ◀──── no
 *
 * The place after the last record handed over is the cursor; it is all that is needed to go on exactly there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "penstock/batch.h"
#include "penstock/define.h"
#include "place.h"
#include "record.h"
#include "stream.h"

enum { CHUNK_BYTES = 64 * 1024, BATCH_BYTES = 2 * 1024 * 1024, REJECT_BYTES = 1024 };

typedef struct csv {
    const pst_host *host;
    file_set files;
    bool follow, header, opened; /* opened: the place's file was found again, or there was none */
    int ndjson;                  /* -1: by the name of the file */
    uint32_t poll_ms;
    size_t limit;
    stream in;
    place at;
    bool quotes, headed, at_end, skipping, torn_told;
    bool aside;       /* records are handed over as rejects: the host asked to pass over them */
    uint32_t n_aside; /* of this call */
    char *buffer, *meta;
    size_t have, used, meta_len; /* bytes in the buffer; those already cut */
    char long_start[REJECT_BYTES];
    size_t long_len;
    uint64_t long_from;
    pst_builder *builder;
    int payload, meta_column;
} csv;

static void on_destroy(void *self)
{
    csv *c = self;
    if (!c)
        return;
    stream_close(&c->in);
    pst_builder_free(c->builder);
    free(c->buffer);
    free(c->meta);
    free(c);
}

/* An empty builder: rows of a read that failed must not come again. */
static bool builder_renew(csv *c)
{
    if (c->builder) {
        pst_builder_clear(c->builder);
        return true;
    }
    c->builder = pst_builder_create();
    if (!c->builder)
        return false;
    c->payload = pst_builder_column(c->builder, "_payload", PST_BINARY);
    c->meta_column = pst_builder_column(c->builder, "_meta", PST_TEXT);
    return c->meta_column >= 0;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    csv *c = calloc(1, sizeof *c);
    if (!c)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    const char *path = host->config_text(host, "/path"), *records = host->config_text(host, "/records");
    c->host = host;
    c->in.fd = -1;
    c->follow = host->config_flag(host, "/follow");
    c->header = host->config_flag(host, "/header");
    c->ndjson = records && !strcmp(records, "ndjson") ? 1 : records && !strcmp(records, "csv") ? 0 : -1;
    c->poll_ms = (uint32_t)host->config_int(host, "/poll_ms");
    c->limit = (size_t)host->config_int(host, "/max_record_bytes");
    c->buffer = malloc(c->limit + CHUNK_BYTES);
    c->files.host = host;
    c->files.files = host->get_service(host, PST_SERVICE_FILES);
    pst_status st = PST_OK;
    if (!c->files.files)
        st = pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host opens no files for plugins");
    else if (!path || !*path || !file_set_parse(path, &c->files))
        st = pst_fail(error, PST_E_CONFIG, "/path",
                      "a file, a folder, or a folder with a pattern is expected");
    else if (!c->buffer || !builder_renew(c))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory for records of %zu bytes", c->limit);
    if (st) {
        on_destroy(c);
        return st;
    }
    *self = c;
    return PST_OK;
}

/* ---- Files ---- */

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && !strcmp(path + n - m, ending);
}

static bool is_ndjson(const csv *c, const char *path)
{
    static const char *const endings[] = {".ndjson",    ".jsonl",    ".json",
                                          ".ndjson.gz", ".jsonl.gz", ".json.gz"};
    for (size_t i = 0; c->ndjson < 0 && i < sizeof endings / sizeof endings[0]; i++)
        if (ends_with(path, endings[i]))
            return true;
    return c->ndjson > 0;
}

static void file_close(csv *c)
{
    stream_close(&c->in);
    free(c->meta);
    c->meta = NULL;
    c->have = c->used = c->meta_len = 0;
    c->at_end = c->skipping = c->torn_told = false;
}

/* The file of the place is open, at its start. */
static void file_begin(csv *c)
{
    c->quotes = !is_ndjson(c, c->at.path);
    c->headed = !c->quotes || !c->header;
    c->opened = true;
}

/* The file at `path` as the stream; IDLE: there is none (any more). */
static pst_status stream_from(csv *c, const pst_call *call, const char *path, pst_error *error)
{
    int fd;
    pst_status st = file_set_open(&c->files, call, path, &fd, error);
    if (!st && !stream_open(&c->in, fd, path))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory to unpack %s", path);
    return st;
}

static pst_status file_open_path(csv *c, const pst_call *call, const char *path, pst_error *error)
{
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    pst_status st = stream_from(c, call, copy, error);
    if (st)
        return st;
    c->at = (place){0};
    snprintf(c->at.path, sizeof c->at.path, "%s", copy);
    place_mark(&c->at, c->in.fd);
    file_begin(c);
    return PST_OK;
}

static pst_status file_open_next(csv *c, const pst_call *call, const char *after, pst_error *error)
{
    char path[PATH_MAX];
    pst_file file;
    pst_status st = file_set_next(&c->files, call, after, &file, path, error);
    if (st == PST_OK)
        return file_open_path(c, call, path, error);
    return st == PST_IDLE && !c->follow ? PST_END : st;
}

static bool header_take(csv *c);

/* Opens the cursor's file under its name or, if it was renamed, under another one. IDLE: it is gone. */
static pst_status file_recognise(csv *c, const pst_call *call, pst_error *error)
{
    char path[PATH_MAX];
    pst_status st = stream_from(c, call, c->at.path, error);
    if (!st && place_is_file(&c->at, c->in.fd))
        return PST_OK;
    stream_close(&c->in);
    if (st >= 0)
        st = file_set_find(&c->files, call, &c->at, path, error);
    if (!st)
        st = stream_from(c, call, path, error);
    if (!st && place_is_file(&c->at, c->in.fd))
        return PST_OK;
    stream_close(&c->in);
    return st < 0 ? st : PST_IDLE;
}

/* Goes on at the cursor. A file of that name that is another one now is read from its start. */
static pst_status file_open_again(csv *c, const pst_call *call, pst_error *error)
{
    uint64_t offset = c->at.offset;
    pst_status st = file_recognise(c, call, error);
    if (st < 0)
        return st;
    c->opened = true;
    if (st == PST_OK) {
        c->at.offset = 0;
        file_begin(c);
        if (!c->headed && offset)
            header_take(c);
        c->have = c->used = 0;
        c->skipping = false;
        c->at.offset = offset;
        if (stream_skip(&c->in, offset))
            return PST_OK;
        file_close(c); /* shorter than it was: written anew */
    }
    pst_field field = {"file", c->at.path};
    c->host->log(c->host, PST_LOG_WARN, "the file of the cursor is gone or was written anew", &field, 1);
    st = file_open_path(c, call, c->at.path, error);
    return st == PST_IDLE ? file_open_next(c, call, c->at.path, error) : st;
}

/* Is there something to go on with after the end of this file? */
static bool has_successor(csv *c, const pst_call *call)
{
    char path[PATH_MAX];
    pst_file file;
    pst_error ignored = {.struct_size = sizeof ignored};
    if (!c->follow)
        return true;
    if (!c->files.single)
        return file_set_next(&c->files, call, c->at.path, &file, path, &ignored) == PST_OK;
    return file_set_next(&c->files, call, NULL, &file, path, &ignored) == PST_OK &&
           (file.inode != c->at.inode || file.device != c->at.device);
}

static bool was_truncated(const csv *c)
{
    struct stat s;
    uint64_t read_to = c->at.offset + (c->have - c->used);
    return c->follow && !c->in.gz && !fstat(c->in.fd, &s) && (uint64_t)s.st_size < read_to;
}

/* ---- Records ---- */

static pst_status fill(csv *c, pst_error *error)
{
    memmove(c->buffer, c->buffer + c->used, c->have - c->used);
    c->have -= c->used;
    c->used = 0;
    ssize_t n = stream_read(&c->in, c->buffer + c->have, c->limit + CHUNK_BYTES - c->have);
    if (n < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/path", "%s cannot be read: %s", c->at.path,
                        strerror(errno));
    c->at_end = n == 0;
    c->have += (size_t)n;
    return PST_OK;
}

static void advance(csv *c, size_t bytes)
{
    c->used += bytes;
    c->at.offset += bytes;
}

static void reject(csv *c, const char *data, size_t len, const char *reason)
{
    char where[64];
    snprintf(where, sizeof where, "byte %llu",
             (unsigned long long)(c->skipping ? c->long_from : c->at.offset));
    pst_builder_reject(c->builder, data, len < REJECT_BYTES ? len : REJECT_BYTES, where, reason);
}

/* Drops the rest of a record that is too long; true when its end was found. */
static bool skip_long(csv *c, bool last)
{
    const char *data = c->buffer + c->used, *end = memchr(data, '\n', c->have - c->used);
    size_t bytes = end ? (size_t)(end - data) + 1 : c->have - c->used;
    char reason[64];
    if (!end && !last) {
        advance(c, bytes);
        return false;
    }
    snprintf(reason, sizeof reason, "longer than %zu bytes", c->limit);
    reject(c, c->long_start, c->long_len, reason);
    advance(c, bytes);
    c->skipping = false;
    return true;
}

static void skip_begin(csv *c)
{
    size_t left = c->have - c->used;
    c->skipping = true;
    c->long_from = c->at.offset;
    c->long_len = left < REJECT_BYTES ? left : REJECT_BYTES;
    memcpy(c->long_start, c->buffer + c->used, c->long_len);
}

static void take_record(csv *c, const char *data, size_t len)
{
    if (c->at.offset == 0 && len >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) { /* byte order mark */
        data += 3;
        len -= 3;
    }
    if (!len)
        return; /* an empty line */
    if (!c->headed) {
        c->meta = malloc(len);
        c->meta_len = c->meta ? len : 0;
        if (c->meta)
            memcpy(c->meta, data, len);
        c->headed = true;
        return;
    }
    if (c->aside) {
        reject(c, data, len, "passed over undecoded");
        c->n_aside++;
        return;
    }
    pst_builder_set_bytes(c->builder, c->payload, data, len);
    if (c->meta)
        pst_builder_set_bytes(c->builder, c->meta_column, c->meta, c->meta_len);
    pst_builder_row(c->builder);
}

/* Cuts one record off the buffer; false: more bytes are needed. `last`: none will come. */
static bool cut(csv *c, bool last)
{
    size_t len = 0, taken = 0;
    if (c->skipping)
        return skip_long(c, last);
    if (c->have == c->used)
        return false;
    const char *data = c->buffer + c->used;
    switch (record_find(data, c->have - c->used, c->quotes, last, c->limit, &len, &taken)) {
    case RECORD_WHOLE:
        take_record(c, data, len);
        break;
    case RECORD_UNCLOSED:
        reject(c, data, len, "a quote is never closed");
        break;
    case RECORD_LONG:
        skip_begin(c);
        return true;
    case RECORD_MORE:
        return false;
    }
    advance(c, taken);
    return true;
}

static bool header_take(csv *c)
{
    while (!c->headed && !c->at_end)
        if (!cut(c, false) && fill(c, NULL))
            return false;
    return c->headed;
}

/* Records of the current file into the builder, until it is full or the file ends for now. */
static pst_status collect(csv *c, const pst_call *call, uint32_t max_rows, bool last, pst_error *error)
{
    c->at_end = false;
    while (pst_builder_rows(c->builder) + c->n_aside < max_rows &&
           pst_builder_bytes(c->builder) < BATCH_BYTES) {
        if (cut(c, last && c->at_end))
            continue;
        if (c->at_end || c->host->cancelled(c->host, call))
            break;
        pst_status st = fill(c, error);
        if (st)
            return st;
    }
    return PST_OK;
}

static bool has_news(const csv *c)
{
    return pst_builder_bytes(c->builder) > 0;
}

/* In the middle of a record that is skipped the cursor stands at its start. */
static pst_status hand_over(csv *c, pst_batch *out, pst_error *error)
{
    char cursor[PLACE_TEXT_MAX];
    if (c->in.fd >= 0)
        place_mark(&c->at, c->in.fd);
    place at = c->at;
    if (c->skipping)
        at.offset = c->long_from;
    size_t len = place_write(&at, cursor);
    return pst_builder_finish(c->builder, NULL, (pst_bytes){cursor, len}, PST_BATCH_RAW, out, error);
}

/* The file is read to its end and something comes after it: the tail, then the next file. */
static pst_status leave_file(csv *c, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    pst_status st = collect(c, call, max_rows, true, error);
    if (!st && c->at_end && c->in.torn && !c->torn_told) {
        reject(c, NULL, 0, "the gzip data is damaged or ends early; the rest of the file is left out");
        c->torn_told = true;
    }
    return st;
}

static pst_status file_ended(csv *c, const pst_call *call, pst_error *error)
{
    char path[PATH_MAX];
    if (was_truncated(c)) {
        file_close(c);
        return file_open_path(c, call, c->at.path, error);
    }
    if (!has_successor(c, call))
        return PST_IDLE;
    snprintf(path, sizeof path, "%s", c->at.path);
    bool again = c->files.single && c->follow;
    file_close(c);
    return file_open_next(c, call, again ? NULL : path, error);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    csv *c = self;
    pst_status st = PST_OK;
    while (!st) {
        if (c->in.fd < 0)
            st = c->at.path[0] && !c->opened
                     ? file_open_again(c, call, error)
                     : file_open_next(c, call, c->at.path[0] ? c->at.path : NULL, error);
        if (!st)
            st = collect(c, call, max_rows, false, error);
        if (!st && !has_news(c) && c->at_end && !was_truncated(c) && has_successor(c, call))
            st = leave_file(c, call, max_rows, error);
        if (!st && has_news(c))
            return hand_over(c, out, error);
        if (!st && c->host->cancelled(c->host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "reading was cancelled");
        if (!st && c->at_end)
            st = file_ended(c, call, error);
    }
    if (st == PST_IDLE)
        out->next_in_ms = c->poll_ms;
    return st;
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    csv *c = self;
    c->aside = true;
    c->n_aside = 0;
    pst_status st = on_read(self, call, max, out, error);
    c->aside = false;
    c->n_aside = 0;
    return st;
}

static void on_close(void *self)
{
    csv *c = self;
    file_close(c);
    c->opened = false;
}

/* A wrong path shows at once, unless the file may come later. */
static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    csv *c = self;
    char path[PATH_MAX];
    pst_file file;
    on_close(c);
    if (!builder_renew(c))
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!place_parse(resume, &c->at))
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (resume.len)
        return PST_OK;
    pst_status st = file_set_next(&c->files, call, NULL, &file, path, error);
    if (st == PST_IDLE && !c->follow)
        return pst_fail(error, PST_E_CONFIG, "/path", "%s: no such file", c->files.path);
    return st == PST_IDLE ? PST_OK : st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {
        sizeof source, PST_SOURCE_REPLAYS | PST_SOURCE_BOUNDED, on_open, on_read, NULL, on_close, on_skip};
    return !strcmp(id, PST_IF_SOURCE) ? &source : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.csv", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Files: CSV or NDJSON", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
