#include "reading.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_BYTES = 2 * 1024 * 1024, FIRST_BYTES = 65536, RANGE_LEAST = 65536, GO_US = 3000000 };

pst_status reading_open(reading *r, const pst_host *host, bucket *b, pst_error *error)
{
    static const char *const kinds[] = {
        [CUTTER_CSV] = "csv", [CUTTER_LINES] = "ndjson", [CUTTER_WHOLE] = "json"};
    const char *records = host->config_text(host, "/records");
    *r = (reading){.bucket = b,
                   .by_name = true,
                   .header = host->config_flag(host, "/header"),
                   .range = (size_t)host->config_int(host, "/range_bytes")};
    for (size_t i = 0; records && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(records, kinds[i])) {
            r->kind = (cutter_kind)i;
            r->by_name = false;
        }
    if (!cutter_open(&r->cut, (size_t)host->config_int(host, "/max_record_bytes")))
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for records");
    return PST_OK;
}

void reading_close(reading *r)
{
    cutter_close(&r->cut);
    unpack_close(&r->pack);
    *r = (reading){0};
}

void reading_end(reading *r)
{
    unpack_close(&r->pack);
    r->key[0] = '\0';
}

/* ---- Which records ---- */

static bool ends_with(const char *text, size_t len, const char *ending)
{
    size_t n = strlen(ending);
    return len >= n && !strncmp(text + len - n, ending, n);
}

/* By the end of the name, what it is packed with left out: rows.csv.gz is CSV. */
static cutter_kind kind_of(const char *key)
{
    size_t len = strlen(key);
    len -= ends_with(key, len, ".gz") ? 3 : ends_with(key, len, ".zst") ? 4 : 0;
    if (ends_with(key, len, ".json"))
        return CUTTER_WHOLE;
    return ends_with(key, len, ".ndjson") || ends_with(key, len, ".jsonl") || ends_with(key, len, ".lp")
               ? CUTTER_LINES
               : CUTTER_CSV;
}

void reading_begin(reading *r, const char *key, const char *etag, uint64_t bytes, uint64_t offset)
{
    reading_end(r);
    snprintf(r->key, sizeof r->key, "%s", key);
    snprintf(r->etag, sizeof r->etag, "%s", etag);
    r->total = bytes;
    r->fetched = 0;
    r->resume = offset;
    r->left = 0;
    r->last = r->ended = false;
    unpack_begin(&r->pack);
    cutter_begin(&r->cut, r->by_name ? kind_of(r->key) : r->kind, r->header, r->key);
}

/* ---- Bytes ---- */

/* Much at once is quick, and too much for a slow server: half of it is asked for the next time. */
static void ask_for_less(reading *r, const pst_error *error)
{
    if (error->vendor_code == CURLE_OPERATION_TIMEDOUT && r->range / 2 >= RANGE_LEAST)
        r->range /= 2;
}

static pst_status fetch(reading *r, const pst_call *call, pst_error *error)
{
    bucket_piece piece;
    size_t most = r->resume && !r->fetched && r->range > FIRST_BYTES ? FIRST_BYTES : r->range;
    uint64_t left = r->total - r->fetched;
    pst_status st = bucket_read(r->bucket, call, r->key, r->etag, r->fetched,
                                left < most ? (size_t)left : most, &piece, error);
    if (st) {
        ask_for_less(r, error);
        return st;
    }
    if (!r->etag[0])
        snprintf(r->etag, sizeof r->etag, "%s", piece.etag);
    r->total = piece.total;
    r->fetched += piece.len;
    r->at = piece.data;
    r->left = piece.len;
    if (!piece.len && r->fetched < r->total) {
        r->bucket->trouble = BUCKET_ITS_OWN;
        return pst_fail(error, PST_E_UNAVAILABLE, "/url", "%s answered no bytes of %s",
                        r->bucket->client.answer.place, r->key);
    }
    return PST_OK;
}

static pst_status more(reading *r, const pst_call *call, pst_error *error)
{
    size_t room = 0, n = 0;
    char *to = cutter_room(&r->cut, &room);
    if (!to || !unpack_run(&r->pack, &r->at, &r->left, to, room, &n))
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the records of %s", r->key);
    cutter_came(&r->cut, n);
    if (n || r->left)
        return PST_OK;
    r->last = r->fetched >= r->total || r->pack.torn;
    return r->last ? PST_OK : fetch(r, call, error);
}

/* Comes to the place to go on at: behind the header, if there is one. True: something was done for it without
 * more bytes. */
static bool come_to_place(reading *r)
{
    if (r->pack.kind == UNPACK_UNKNOWN)
        return false;
    if (r->cut.header)
        return cutter_cut(&r->cut, r->last);
    if (r->pack.kind == UNPACK_PLAIN) {
        cutter_jump(&r->cut, r->resume);
        r->fetched = r->resume;
        r->left = 0;
        r->last = false;
    } else {
        cutter_pass(&r->cut, r->resume);
        if (r->cut.offset < r->resume)
            return false;
    }
    r->resume = 0;
    return true;
}

static void end(reading *r)
{
    if (!r->cut.spoilt && !unpack_is_whole(&r->pack))
        cutter_reject(&r->cut, NULL, 0,
                      "the packed data are damaged or end early; the rest of the object is left out");
    r->ended = true;
}

pst_status reading_go(reading *r, const pst_call *call, uint32_t max_rows, pst_error *error)
{
    const pst_host *host = r->bucket->host;
    int64_t until_us = host->now_us(host) + GO_US;
    pst_status st = PST_OK;
    while (!st && !r->ended && cutter_taken(&r->cut) < max_rows &&
           pst_builder_bytes(r->cut.builder) < BATCH_BYTES) {
        bool tail = r->last && unpack_is_whole(&r->pack); /* what damage left of a record is none */
        if (r->resume ? come_to_place(r) : cutter_cut(&r->cut, tail))
            continue;
        if (r->last || r->cut.spoilt)
            end(r);
        else if (host->cancelled(host, call))
            st = pst_fail(error, PST_E_CANCELLED, NULL, "reading %s was cancelled", r->key);
        else if (cutter_taken(&r->cut) && !r->left && host->now_us(host) > until_us)
            break;
        else
            st = more(r, call, error);
    }
    return st;
}
