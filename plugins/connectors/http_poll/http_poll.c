/* The connector: asks each site when it is due, a page at a time, and hands the answer over as it came. Where
 * to go on stands in the cursor, which the host commits with the rows: after a crash the page is asked for
 * again.
 *
 *   due ──begin──▶ page ──ask──▶ handed over ──▶ page … last page ──▶ due again
 *                   └── failure: the position stays, the site waits (back-off, or what Retry-After says)
 *
 * A site that fails does not hold the others: then the source goes on and says through penstock.health which
 * ones fail. When all fail, the failure is the source's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "paging.h"
#include "penstock/define.h"

#define NO_SITE "."
enum { BACK_OFF_FIRST_MS = 500, BACK_OFF_LAST_MS = 60000, IDLE_MOST_MS = 3600000, REJECT_BYTES = 65536 };

typedef struct site {
    const char *name; /* "." = there are no sites */
    position at;
    unsigned failures;
    bool waits;       /* as it was told to: not a failure */
    int64_t again_us; /* not before that; monotonic */
    char problem[PST_HEALTH_TEXT_MAX];
} site;

typedef struct http_poll {
    const pst_host *host;
    pull_client client;
    paging paging;
    site *sites;
    size_t n_sites, last; /* the site asked last */
    wording url, body, cursor;
    pst_builder *builder;
    bool aside; /* payloads are handed over as rejects */
} http_poll;

static void on_destroy(void *self)
{
    http_poll *h = self;
    if (!h)
        return;
    pull_close(&h->client);
    wording_free(&h->url);
    wording_free(&h->body);
    wording_free(&h->cursor);
    pst_builder_free(h->builder);
    free(h->sites);
    free(h);
}

static pst_status make_sites(http_poll *h, pst_error *error)
{
    size_t n = h->host->config_count(h->host, "/sites");
    h->n_sites = n ? n : 1;
    h->sites = calloc(h->n_sites, sizeof *h->sites);
    h->builder = pst_builder_create();
    if (!h->sites || !h->builder)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for %zu sites", h->n_sites);
    for (size_t i = 0; i < h->n_sites; i++)
        h->sites[i].name = n ? h->host->config_key(h->host, "/sites", i) : NO_SITE;
    return PST_OK;
}

/* A placeholder without a value shows at once. */
static pst_status try_sites(http_poll *h, pst_error *error)
{
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < h->n_sites; i++)
        st = paging_ask(&h->paging, h->sites[i].name, &h->sites[i].at, &h->url, &h->body, error);
    return st;
}

static pst_status on_create(const pst_host *host, void **self, pst_error *error)
{
    http_poll *h = calloc(1, sizeof *h);
    if (!h)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    h->host = host;
    pst_status st = pull_open(&h->client, host, error);
    st = st ? st : paging_open(&h->paging, host, error);
    st = st ? st : make_sites(h, error);
    st = st ? st : try_sites(h, error);
    if (st) {
        on_destroy(h);
        return st;
    }
    *self = h;
    return PST_OK;
}

/* ---- Whose turn it is ---- */

static uint32_t wait_ms(const http_poll *h, const site *s)
{
    int64_t due_us = s->at.due_us - h->host->wall_us(h->host),
            again_us = s->again_us - h->host->now_us(h->host);
    int64_t us = due_us > again_us ? due_us : again_us;
    return us <= 0 ? 0 : us / 1000 + 1 < IDLE_MOST_MS ? (uint32_t)(us / 1000 + 1) : IDLE_MOST_MS;
}

/* The next one that is due, in turn; *wait_out is 0 then, otherwise when one will be. */
static site *next_site(http_poll *h, uint32_t *wait_out)
{
    *wait_out = IDLE_MOST_MS;
    for (size_t i = 1; i <= h->n_sites; i++) {
        site *s = &h->sites[(h->last + i) % h->n_sites];
        uint32_t ms = wait_ms(h, s);
        *wait_out = ms < *wait_out ? ms : *wait_out;
        if (!ms) {
            h->last = (h->last + i) % h->n_sites;
            return s;
        }
    }
    return NULL;
}

/* ---- Failures ---- */

/* A quarter less at random, so that many do not come back at once. */
static uint32_t back_off(const http_poll *h, unsigned failures)
{
    uint32_t ms = BACK_OFF_LAST_MS;
    if (failures < 8)
        ms = BACK_OFF_FIRST_MS << (failures - 1) < BACK_OFF_LAST_MS ? BACK_OFF_FIRST_MS << (failures - 1)
                                                                    : BACK_OFF_LAST_MS;
    uint64_t noise = (uint64_t)h->host->now_us(h->host) * 6364136223846793005u >> 33;
    return ms - (uint32_t)(noise % (ms / 4));
}

/* "2 of 5 sites fail; north: …" */
static void tell_sites(http_poll *h, const pst_call *call)
{
    char text[PST_HEALTH_TEXT_MAX];
    const site *worst = NULL;
    size_t n = 0;
    for (size_t i = 0; i < h->n_sites; i++) {
        n += h->sites[i].problem[0] != '\0';
        if (h->sites[i].problem[0] && (!worst || worst->waits))
            worst = &h->sites[i];
    }
    if (!worst)
        text[0] = '\0';
    else if (h->n_sites == 1)
        snprintf(text, sizeof text, "%s", worst->problem);
    else
        snprintf(text, sizeof text, "%zu of %zu sites fail; %s: %s", n, h->n_sites, worst->name,
                 worst->problem);
    pull_tell(&h->client, call, text);
}

static bool all_fail(const http_poll *h)
{
    for (size_t i = 0; i < h->n_sites; i++)
        if (!h->sites[i].failures)
            return false;
    return true;
}

/* It was told when to come again, by the far side or by the rate: nothing is wrong, it waits. */
static bool is_told_to_wait(const http_poll *h, const pst_error *error)
{
    long answered = h->client.answer.status;
    return error->retry_after_ms && (!answered || answered == 429 || answered == 503);
}

static pst_status site_failed(http_poll *h, const pst_call *call, site *s, pst_status st, pst_error *error)
{
    uint32_t ms;
    if (st == PST_E_CANCELLED)
        return st;
    s->waits = st == PST_E_UNAVAILABLE && is_told_to_wait(h, error);
    s->failures += !s->waits;
    bool person = st == PST_E_CONFIG || st == PST_E_AUTH;
    ms = error->retry_after_ms ? error->retry_after_ms
         : person              ? BACK_OFF_LAST_MS
                               : back_off(h, s->failures ? s->failures : 1);
    snprintf(s->problem, sizeof s->problem, "%s", error->message);
    s->again_us = h->host->now_us(h->host) + (int64_t)ms * 1000;
    if (s->waits || !all_fail(h)) {
        tell_sites(h, call);
        return PST_IDLE;
    }
    if (h->n_sites == 1)
        s->again_us = 0; /* the host knows when */
    else
        next_site(h, &error->retry_after_ms);
    return st;
}

static void site_is_well(http_poll *h, const pst_call *call, site *s)
{
    s->failures = 0;
    s->waits = false;
    s->again_us = 0;
    s->problem[0] = '\0';
    tell_sites(h, call);
}

/* The far side does not know the place any more where we were (a cursor that has run out): the poll begins
 * anew. */
static bool begin_anew(http_poll *h, site *s, pst_status st)
{
    long answered = h->client.answer.status;
    if (st != PST_E_CONFIG || !s->at.next[0] ||
        (answered != 400 && answered != 404 && answered != 410 && answered != 422))
        return false;
    pst_field site_name = {"site", s->name};
    h->host->log(h->host, PST_LOG_WARN, "the page to go on at is gone: the poll begins anew", &site_name, 1);
    s->at.next[0] = '\0';
    s->at.number = 0;
    if (s->at.pages)
        s->at.to_us = s->at.from_us; /* the same window again */
    s->at.pages = 0;
    return true;
}

/* ---- One page ---- */

static uint64_t print_of(const http_poll *h)
{
    uint64_t print = 14695981039346656037u;
    for (const char *p = wording_text(&h->url); *p; p++)
        print = (print ^ (unsigned char)*p) * 1099511628211u;
    for (const char *p = wording_text(&h->body); *p; p++)
        print = (print ^ (unsigned char)*p) * 1099511628211u;
    return print;
}

/* Asks for the page at `at`, which then is behind it. */
static pst_status ask_page(http_poll *h, const pst_call *call, const site *s, position *at, page *out,
                           pst_error *error)
{
    int64_t now_us = h->host->wall_us(h->host);
    bool first = !at->pages;
    if (first)
        paging_begin(&h->paging, at, now_us);
    pst_status st = paging_ask(&h->paging, s->name, at, &h->url, &h->body, error);
    if (st)
        return st;
    uint64_t print = print_of(h);
    bool known = first && at->print == print;
    pull_request r = {.url = wording_text(&h->url),
                      .body = h->body.len ? wording_text(&h->body) : NULL,
                      .type = h->host->config_text(h->host, "/body_type"),
                      .etag = known && at->etag[0] ? at->etag : NULL,
                      .modified = known && at->modified[0] ? at->modified : NULL};
    st = pull_ask(&h->client, call, &r, error);
    if (st)
        return st;
    if (h->client.answer.status == 304) {
        paging_end(&h->paging, at, now_us);
        *out = (page){true, true};
        return PST_OK;
    }
    st = paging_advance(&h->paging, &h->client, at, now_us, out, error);
    bool whole = first && out->last; /* all of the poll, so that nothing new there means nothing new */
    at->print = whole ? print : 0;
    snprintf(at->etag, sizeof at->etag, "%s", whole ? h->client.answer.etag : "");
    snprintf(at->modified, sizeof at->modified, "%s", whole ? h->client.answer.modified : "");
    return st;
}

static pst_status hand_over(http_poll *h, const site *s, pst_batch *out, pst_error *error)
{
    const transport_body *body = &h->client.answer.body;
    position_begin(s->name, &h->cursor);
    for (size_t i = 0; i < h->n_sites; i++)
        position_write(&h->sites[i].at, h->sites[i].name, &h->cursor);
    if (h->cursor.failed || h->cursor.len > POSITION_CURSOR_MAX)
        return pst_fail(error, PST_E_RESOURCE, "/sites",
                        "the places of %zu sites take more than %d bytes; use several connectors", h->n_sites,
                        POSITION_CURSOR_MAX);
    pst_builder_clear(h->builder);
    if (h->aside)
        pst_builder_reject(h->builder, body->data, body->len < REJECT_BYTES ? body->len : REJECT_BYTES,
                           s->name, "passed over undecoded");
    else
        pst_builder_payload(h->builder, body->data, body->len, strcmp(s->name, NO_SITE) ? s->name : NULL);
    return pst_builder_finish(h->builder, NULL, (pst_bytes){h->cursor.data, h->cursor.len}, PST_BATCH_RAW,
                              out, error);
}

static pst_status on_read(void *self, const pst_call *call, uint32_t max_rows, pst_batch *out,
                          pst_error *error)
{
    http_poll *h = self;
    page p = {0};
    uint32_t ms;
    (void)max_rows; /* a page is one payload */
    site *s = next_site(h, &ms);
    if (!s) {
        tell_sites(h, call);
        out->next_in_ms = ms;
        return PST_IDLE;
    }
    position at = s->at;
    pst_status st = ask_page(h, call, s, &at, &p, error);
    if (st && begin_anew(h, s, st))
        st = PST_IDLE;
    else if (st)
        st = site_failed(h, call, s, st, error);
    else
        site_is_well(h, call, s);
    if (!st)
        s->at = at;
    if (!st && !p.empty)
        return hand_over(h, s, out, error);
    if (st >= 0) {
        size_t last = h->last;
        next_site(h, &ms);
        h->last = last;
        out->next_in_ms = ms ? ms : 1;
        st = PST_IDLE;
    }
    return st;
}

static pst_status on_skip(void *self, const pst_call *call, uint32_t max, pst_batch *out, pst_error *error)
{
    http_poll *h = self;
    h->aside = true;
    pst_status st = on_read(self, call, max, out, error);
    h->aside = false;
    return st;
}

static void on_close(void *self)
{
    pull_rest(&((http_poll *)self)->client);
}

static pst_status on_open(void *self, const pst_call *call, pst_bytes resume, pst_error *error)
{
    http_poll *h = self;
    (void)call;
    on_close(h);
    wording_clear(&h->cursor);
    wording_add(&h->cursor, WORDING_PLAIN, resume.data, resume.len);
    if (h->cursor.failed)
        return pst_fail(error, PST_E_RESOURCE, NULL, "no memory for the cursor");
    h->last = h->n_sites - 1;
    for (size_t i = 0; i < h->n_sites; i++) {
        if (!h->sites[i].waits)
            h->sites[i].again_us = 0; /* a new secret may be the cure */
        if (!position_read(wording_text(&h->cursor), h->sites[i].name, &h->sites[i].at))
            return pst_fail(error, PST_E_DATA, NULL, "the cursor is not one of this connector");
        if (position_was_last(wording_text(&h->cursor), h->sites[i].name))
            h->last = i;
    }
    return PST_OK;
}

/* The first site's first page: name, certificate, credential and paging are looked at. */
static pst_status on_check(void *self, const pst_call *call, pst_error *error)
{
    http_poll *h = self;
    position at = {0};
    page p;
    return ask_page(h, call, &h->sites[0], &at, &p, error);
}

static pst_status on_discover(void *self, const pst_call *call, pst_blob *json_out, pst_error *error)
{
    http_poll *h = self;
    const char *records = h->host->config_text(h->host, "/paging/records");
    pst_status st = on_check(self, call, error);
    return st ? st : discover_write(h->host, &h->client.answer, records ? records : "", json_out, error);
}

static const void *on_get_interface(const char *id)
{
    static const pst_source source = {sizeof source, PST_SOURCE_REPLAYS, on_open, on_read,
                                      NULL,          on_close,           on_skip};
    static const pst_check check = {sizeof check, 0, on_check};
    static const pst_discover discover = {sizeof discover, 0, on_discover};
    if (!strcmp(id, PST_IF_SOURCE))
        return &source;
    if (!strcmp(id, PST_IF_CHECK))
        return &check;
    return !strcmp(id, PST_IF_DISCOVER) ? &discover : NULL;
}

PST_PLUGIN(.id = "org.penstock.connector.http-poll", .kind = PST_KIND_CONNECTOR, .version = "1.0.0",
           .title = "HTTP API, polled", .licence = "Apache-2.0", .get_interface = on_get_interface,
           .create = on_create, .destroy = on_destroy);
