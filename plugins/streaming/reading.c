#include "reading.h"

#include <string.h>

enum {
    BATCH_BYTES = 2 * 1024 * 1024,
    REJECT_BYTES = 1024,
    RETRY_FIRST_MS = 250,
    RETRY_LAST_MS = 4000,
    SKIP_LEFT_US = 2000000
};

pst_status reading_init(reading *r, const pst_host *host, pst_error *error)
{
    *r = (reading){.host = host, .builder = pst_builder_create()};
    return r->builder ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
}

void reading_end(reading *r)
{
    pst_builder_free(r->builder);
    r->builder = NULL;
}

void reading_begin(reading *r)
{
    pst_builder_clear(r->builder);
    r->events = 0;
}

bool reading_has_room(const reading *r, uint32_t max_rows)
{
    return r->events < max_rows && pst_builder_bytes(r->builder) < BATCH_BYTES;
}

void reading_reject(reading *r, const void *payload, size_t len, const char *where, const char *why)
{
    pst_builder_reject(r->builder, payload, len < REJECT_BYTES ? len : REJECT_BYTES, where, why);
}

void reading_add(reading *r, const void *payload, size_t len, const char *meta, const char *where)
{
    if (r->aside)
        reading_reject(r, payload, len, where, "passed over");
    else if (payload)
        pst_builder_payload(r->builder, payload, len, meta);
}

pst_status reading_finish(reading *r, const char *stream, pst_bytes cursor, uint32_t flags, pst_batch *out,
                          pst_error *error)
{
    r->retry_ms = 0;
    return pst_builder_finish(r->builder, stream, cursor, flags, out, error);
}

pst_status reading_failed(reading *r, pst_status st, pst_error *error)
{
    if (st == PST_E_UNAVAILABLE || st == PST_E_TIMEOUT) {
        r->retry_ms = !r->retry_ms                  ? RETRY_FIRST_MS
                      : r->retry_ms < RETRY_LAST_MS ? r->retry_ms * 2
                                                    : RETRY_LAST_MS;
        error->retry_after_ms = r->retry_ms;
    }
    return st;
}

pst_status reading_skip(reading *r, reading_read *read, void *self, const pst_call *call, uint32_t max,
                        pst_batch *out, pst_error *error)
{
    const pst_host *host = r->host;
    pst_status st = PST_IDLE;
    r->aside = true;
    while (st == PST_IDLE && !host->cancelled(host, call) &&
           host->now_us(host) < call->deadline_us - SKIP_LEFT_US)
        st = read(self, call, max, out, error);
    r->aside = false;
    return st == PST_IDLE
               ? pst_fail(error, PST_E_UNAVAILABLE, NULL, "the record to be passed over does not come")
               : st;
}

const void *reading_interface(const char *id, const pst_source *source, const pst_check *check,
                              const pst_discover *discover)
{
    if (!strcmp(id, PST_IF_SOURCE))
        return source;
    return !strcmp(id, PST_IF_CHECK) ? (const void *)check : !strcmp(id, PST_IF_DISCOVER) ? discover : NULL;
}
