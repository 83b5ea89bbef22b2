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
#include <unistd.h>

#include "cutter.h"
#include "penstock/define.h"
#include "place.h"
#include "stream.h"

enum { BATCH_BYTES = 2 * 1024 * 1024 };

typedef struct csv {
    const pst_host *host;
    file_set files;
    bool follow, header, opened; /* opened: the place's file was found again, or there was none */
    int ndjson;                  /* -1: by the name of the file */
    uint32_t poll_ms;
    stream in;
    place at;
    cutter cut;
    bool at_end, torn_told;
} csv;

static void on_destroy(void *self)
{
    csv *c = self;
    if (!c)
        return;
    stream_close(&c->in);
    cutter_close(&c->cut);
    free(c);
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
    c->files.host = host;
    c->files.files = host->get_service(host, PST_SERVICE_FILES);
    pst_status st = PST_OK;
    if (!c->files.files)
        st = pst_fail(error, PST_E_UNSUPPORTED, NULL, "this host opens no files for plugins");
    else if (!path || !*path || !file_set_parse(path, &c->files))
        st = pst_fail(error, PST_E_CONFIG, "/path",
                      "a file, a folder, or a folder with a pattern is expected");
    else if (!cutter_open(&c->cut, (size_t)host->config_int(host, "/max_record_bytes")))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory for records");
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
    c->at_end = c->torn_told = false;
}

/* The file of the place is open, at its start. */
static void file_begin(csv *c)
{
    cutter_begin(&c->cut, is_ndjson(c, c->at.path) ? CUTTER_LINES : CUTTER_CSV, c->header, NULL);
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

static void header_take(csv *c);

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
        file_begin(c);
        if (offset)
            header_take(c);
        cutter_jump(&c->cut, offset);
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
    uint64_t read_to = c->cut.offset + (c->cut.have - c->cut.used);
    return c->follow && !c->in.gz && !fstat(c->in.fd, &s) && (uint64_t)s.st_size < read_to;
}

/* ---- Records ---- */

static pst_status fill(csv *c, pst_error *error)
{
    size_t room = 0;
    char *to = cutter_room(&c->cut, &room);
    if (!to)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the records of %s", c->at.path);
    ssize_t n = stream_read(&c->in, to, room);
    if (n < 0)
        return pst_fail(error, PST_E_UNAVAILABLE, "/path", "%s cannot be read: %s", c->at.path,
                        strerror(errno));
    c->at_end = n == 0;
    cutter_came(&c->cut, (size_t)n);
    return PST_OK;
}

/* What may be wrong in front of the place was told before. */
static void header_take(csv *c)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    while (c->cut.header && !c->cut.spoilt && !c->at_end)
        if (!cutter_cut(&c->cut, false) && fill(c, &ignored))
            break;
    cutter_clear(&c->cut);
}

/* Records of the current file into the builder, until it is full or the file ends for now. */
static pst_status collect(csv *c, const pst_call *call, uint32_t max_rows, bool last, pst_error *error)
{
    c->at_end = false;
    while (cutter_taken(&c->cut) < max_rows && pst_builder_bytes(c->cut.builder) < BATCH_BYTES) {
        if (cutter_cut(&c->cut, last && c->at_end && !c->in.torn))
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
    return pst_builder_bytes(c->cut.builder) > 0;
}

static pst_status hand_over(csv *c, pst_batch *out, pst_error *error)
{
    char cursor[PLACE_TEXT_MAX];
    if (c->in.fd >= 0)
        place_mark(&c->at, c->in.fd);
    c->at.offset = cutter_position(&c->cut);
    size_t len = place_write(&c->at, cursor);
    return cutter_finish(&c->cut, NULL, (pst_bytes){cursor, len}, out, error);
}

/* The file is read to its end and something comes after it: the tail, then the next file. */
static pst_status leave_file(csv *c, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    pst_status st = collect(c, call, max_rows, true, error);
    if (!st && c->at_end && c->in.torn && !c->torn_told) {
        cutter_reject(&c->cut, NULL, 0,
                      "the gzip data is damaged or ends early; the rest of the file is left out");
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
    c->cut.aside = true;
    pst_status st = on_read(self, call, max, out, error);
    c->cut.aside = false;
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
    cutter_clear(&c->cut); /* rows of a read that failed must not come again */
    if (!place_parse(resume, &c->at))
        return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
    if (resume.len)
        return PST_OK;
    pst_status st = file_set_next(&c->files, call, NULL, &file, path, error);
    if (st == PST_IDLE && !c->follow)
        return pst_fail(error, PST_E_CONFIG, "/path", "%s: no such file", c->files.path);
    return st == PST_IDLE ? PST_OK : st;
}

/* The first file is there and may be read. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    csv *c = self;
    char path[PATH_MAX];
    pst_file file;
    int fd;
    pst_status st = file_set_next(&c->files, call, NULL, &file, path, error);
    if (!st)
        st = file_set_open(&c->files, call, path, &fd, error);
    if (!st)
        close(fd);
    return st == PST_IDLE ? pst_fail(error, PST_E_UNAVAILABLE, "/path", "%s: no such file%s", c->files.path,
                                     c->follow ? " yet" : "")
                          : st;
}

static const void *on_get_interface(const char *id)
{
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_source source = {
        sizeof source, PST_SOURCE_REPLAYS | PST_SOURCE_BOUNDED, on_open, on_read, NULL, on_close, on_skip};
    return !strcmp(id, PST_IF_SOURCE) ? (const void *)&source : !strcmp(id, PST_IF_CHECK) ? &check : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.csv", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "Files: CSV or NDJSON", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
