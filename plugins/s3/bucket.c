/* The query is written sorted and encoded as the signature wants it, so that what is sent is what was signed.
 */
#include "bucket.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sign.h"

enum { SECRET_MAX = 2048, TOKEN_MAX = 8192, HEADERS_MAX = 8 };

/* ---- Settings ---- */

pst_status bucket_open(bucket *b, const pst_host *host, size_t most, pst_error *error)
{
    const char *url = host->config_text(host, "/url"), *end = strstr(url, "://");
    *b = (bucket){.host = host, .region = host->config_text(host, "/region")};
    size_t scheme = end ? (size_t)(end - url) : 0, authority = end ? strcspn(end + 3, "/") : 0;
    const char *base = end ? end + 3 + authority : "";
    size_t len = strlen(base);
    while (len && base[len - 1] == '/')
        len--;
    if (!scheme || scheme >= sizeof b->scheme || !authority || authority >= sizeof b->authority ||
        len >= sizeof b->base)
        return pst_fail(error, PST_E_CONFIG, "/url", "that is no URL of a bucket");
    snprintf(b->scheme, sizeof b->scheme, "%.*s", (int)scheme, url);
    snprintf(b->authority, sizeof b->authority, "%.*s", (int)authority, end + 3);
    snprintf(b->base, sizeof b->base, "%.*s", (int)len, base);
    pst_status st = pull_open(&b->client, host, error);
    b->client.answer.body.most = most;
    return st;
}

void bucket_close(bucket *b)
{
    pull_close(&b->client);
    wording_free(&b->path);
    wording_free(&b->query);
    wording_free(&b->url);
    *b = (bucket){0};
}

void bucket_rest(bucket *b)
{
    pull_rest(&b->client);
}

void bucket_etag(const char *text, char out[LISTING_ETAG_MAX])
{
    size_t n = 0;
    for (; *text && n + 1 < LISTING_ETAG_MAX; text++)
        if (*text != '"')
            out[n++] = *text;
    out[n] = '\0';
}

/* ---- What an answer means ---- */

static const struct {
    const char *code;
    pst_status status;
    bucket_trouble trouble;
    const char *where, *hint;
} meanings[] = {
    {"InvalidAccessKeyId", PST_E_AUTH, BUCKET_FAILS, "/credentials/access_key",
     "the server knows no such access key"},
    {"SignatureDoesNotMatch", PST_E_AUTH, BUCKET_FAILS, "/credentials/secret_key",
     "the secret key is not that of the access key"},
    {"ExpiredToken", PST_E_AUTH, BUCKET_FAILS, "/credentials/session_token",
     "the session token has expired; set new credentials"},
    {"InvalidToken", PST_E_AUTH, BUCKET_FAILS, "/credentials/session_token",
     "the session token is not valid"},
    {"RequestTimeTooSkewed", PST_E_AUTH, BUCKET_FAILS, "/credentials",
     "the clock of this machine or of the server is wrong"},
    {"AuthorizationHeaderMalformed", PST_E_CONFIG, BUCKET_FAILS, "/region", "check region"},
    {"PermanentRedirect", PST_E_CONFIG, BUCKET_FAILS, "/url",
     "the bucket is elsewhere; check url and region"},
    {"NoSuchBucket", PST_E_CONFIG, BUCKET_FAILS, "/url", "check the bucket's name in url"},
    {"NoSuchKey", PST_E_UNAVAILABLE, BUCKET_GONE, NULL, "it is not there any more"},
    {"InvalidObjectState", PST_E_AUTH, BUCKET_ITS_OWN, NULL,
     "it is archived; restore it or leave it out by prefix"},
    {"EntityTooLarge", PST_E_CONFIG, BUCKET_ITS_OWN, NULL, "smaller batches are needed"},
    {"SlowDown", PST_E_UNAVAILABLE, BUCKET_WAITS, NULL, "asked too often; rate says how often it may be"},
};

/* What the code says; without one, what the HTTP status says. `may`: what the credential has to be allowed.
 */
static pst_status meaning_of(bucket *b, const char *key, const char *may, pst_status st, pst_error *error)
{
    long answered = b->client.answer.status;
    const char *code = b->fault.code, *region = *b->region_said ? b->region_said : b->fault.region;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        if (strcmp(code, meanings[i].code) != 0)
            continue;
        b->trouble = meanings[i].trouble;
        bool elsewhere = *region && strcmp(region, b->region) != 0 && meanings[i].status == PST_E_CONFIG;
        return pst_fail(error, meanings[i].status, meanings[i].where, "%s answered %ld %s: %s%s%s",
                        b->client.answer.place, answered, code, meanings[i].hint,
                        elsewhere ? "; its region is " : "", elsewhere ? region : "");
    }
    if (answered == 412) {
        b->trouble = BUCKET_CHANGED;
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s has changed", b->client.answer.place);
    }
    b->trouble = key && (answered == 403 || answered == 404 || answered == 416 || answered == 500)
                     ? BUCKET_ITS_OWN
                     : BUCKET_FAILS;
    if (answered == 404 && key && !*code)
        b->trouble = BUCKET_GONE;
    if (answered == 401 || answered == 403)
        return pst_fail(error, PST_E_AUTH, "/credentials",
                        "%s answered %ld %s: check credentials and what they may do (%s)",
                        b->client.answer.place, answered, code, may);
    if (*code)
        return pst_fail(error, st, answered < 500 ? "/url" : NULL, "%s answered %ld %s: %.150s",
                        b->client.answer.place, answered, code, b->fault.message);
    return st;
}

/* It was told when to come again, by the far side or by the rate. */
static bool is_told_to_wait(const bucket *b, const pst_error *error)
{
    long answered = b->client.answer.status;
    return error->retry_after_ms && (!answered || answered == 429 || answered == 503);
}

static pst_status explain(bucket *b, const char *key, const char *may, pst_status st, pst_error *error)
{
    const pull_answer *a = &b->client.answer;
    uint32_t later_ms = error->retry_after_ms;
    b->trouble = st ? BUCKET_FAILS : BUCKET_FINE;
    b->fault = (listing_fault){0};
    if (!st || st == PST_E_CANCELLED)
        return st;
    if (a->status >= 300) {
        listing_fault_read((pst_bytes){a->body.data, a->body.len}, &b->fault);
        st = meaning_of(b, key, may, st, error);
        error->retry_after_ms = later_ms;
    }
    if (is_told_to_wait(b, error))
        b->trouble = BUCKET_WAITS;
    return st;
}

/* ---- Asking ---- */

static void on_line(void *arg, const char *line, size_t len)
{
    bucket *b = arg;
    pull_take(line, len, "content-range:", b->range, sizeof b->range, false);
    pull_take(line, len, "date:", b->date, sizeof b->date, false);
    pull_take(line, len, "x-amz-bucket-region:", b->region_said, sizeof b->region_said, false);
}

/* Slashes divide a key, all else in it is encoded. */
static void write_path(bucket *b, const char *key)
{
    wording_clear(&b->path);
    wording_add_text(&b->path, WORDING_PLAIN, b->base);
    wording_add_text(&b->path, WORDING_PLAIN, "/");
    for (const char *at = key ? key : ""; *at;) {
        size_t word = strcspn(at, "/");
        wording_add(&b->path, WORDING_URL, at, word);
        at += word;
        if (*at)
            wording_add(&b->path, WORDING_PLAIN, at++, 1);
    }
}

static bool write_url(bucket *b)
{
    wording_clear(&b->url);
    wording_add_text(&b->url, WORDING_PLAIN, b->scheme);
    wording_add_text(&b->url, WORDING_PLAIN, "://");
    wording_add_text(&b->url, WORDING_PLAIN, b->authority);
    wording_add_text(&b->url, WORDING_PLAIN, wording_text(&b->path));
    wording_add_text(&b->url, WORDING_PLAIN, b->query.len ? "?" : "");
    wording_add_text(&b->url, WORDING_PLAIN, wording_text(&b->query));
    return !b->path.failed && !b->query.failed && !b->url.failed;
}

static pst_status fetch(const bucket *b, const pst_call *call, const char *path, char *out, size_t cap,
                        pst_error *error)
{
    size_t len = 0;
    pst_status st = b->host->secret(b->host, call, path, out, cap, &len, error);
    return st || transport_is_line(out)
               ? st
               : pst_fail(error, PST_E_CONFIG, path, "the secret is not one line of text");
}

typedef struct signature { /* what the headers point to */
    char access[SECRET_MAX], secret[SECRET_MAX], token[TOKEN_MAX];
    char hash[SIGN_HASH_MAX], time[SIGN_TIME_MAX], value[SIGN_OUT_MAX];
} signature;

/* Adds what is signed to `headers`, and the signature: they stay sorted by name. */
static pst_status sign(const bucket *b, const pst_call *call, const pull_request *r, pst_field *headers,
                       size_t *n, signature *s, pst_error *error)
{
    sign_header all[HEADERS_MAX];
    if (!b->host->config_has(b->host, "/credentials"))
        return PST_OK;
    bool token = b->host->config_has(b->host, "/credentials/session_token");
    pst_status st = fetch(b, call, "/credentials/access_key", s->access, sizeof s->access, error);
    st = st ? st : fetch(b, call, "/credentials/secret_key", s->secret, sizeof s->secret, error);
    st = st || !token ? st : fetch(b, call, "/credentials/session_token", s->token, sizeof s->token, error);
    if (st)
        return st;
    sign_hash(r->body ? r->body : "", r->body_len, s->hash);
    sign_time(b->host->wall_us(b->host), s->time);
    headers[(*n)++] = (pst_field){"x-amz-content-sha256", s->hash};
    headers[(*n)++] = (pst_field){"x-amz-date", s->time};
    if (token)
        headers[(*n)++] = (pst_field){"x-amz-security-token", s->token};
    for (size_t i = 0; i < *n; i++)
        all[i] = (sign_header){headers[i].key, headers[i].value};
    sign_request q = {
        r->method ? r->method : "GET", wording_text(&b->path), wording_text(&b->query), all, *n, s->hash};
    sign_key key = {s->access, s->secret, b->region, "s3"};
    if (!sign_authorize(&q, &key, s->time, s->value))
        return pst_fail(error, PST_E_CONFIG, "/credentials", "the credentials are too long");
    headers[(*n)++] = (pst_field){"authorization", s->value};
    return PST_OK;
}

/* `headers`: if-match and range, sorted. */
static pst_status ask(bucket *b, const pst_call *call, const char *key, pull_request r,
                      const pst_field *given, size_t n_given, pst_error *error)
{
    pst_field headers[HEADERS_MAX] = {{"host", b->authority}};
    size_t n = 1;
    signature s = {0};
    for (size_t i = 0; i < n_given; i++)
        headers[n++] = given[i];
    b->range[0] = b->date[0] = b->region_said[0] = '\0';
    b->client.answer.status = 0;
    write_path(b, key);
    pst_status st = write_url(b) ? PST_OK : pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a question");
    st = st ? st : sign(b, call, &r, headers, &n, &s, error);
    if (!st) {
        r.url = wording_text(&b->url);
        r.headers = headers;
        r.n_headers = n;
        r.as_it_is = true;
        r.on_line = on_line;
        r.arg = b;
        st = pull_ask(&b->client, call, &r, error);
    }
    explicit_bzero(&s, sizeof s);
    return explain(b, key, r.method ? "s3:PutObject" : key ? "s3:GetObject" : "s3:ListBucket", st, error);
}

/* ---- The listing ---- */

static void add_parameter(bucket *b, const char *name, const char *value)
{
    if (!value)
        return;
    wording_add_text(&b->query, WORDING_PLAIN, b->query.len ? "&" : "");
    wording_add_text(&b->query, WORDING_PLAIN, name);
    wording_add_text(&b->query, WORDING_PLAIN, "=");
    wording_add_text(&b->query, WORDING_URL, value);
}

/* Sat, 21 Nov 2026 12:48:33 GMT */
static int64_t clock_of(const bucket *b)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = {0};
    char month[4] = "";
    const char *at;
    if (sscanf(b->date, "%*3s, %2d %3s %4d %2d:%2d:%2d", &t.tm_mday, month, &t.tm_year, &t.tm_hour, &t.tm_min,
               &t.tm_sec) != 6 ||
        !(at = strstr(months, month)))
        return b->host->wall_us(b->host);
    t.tm_mon = (int)(at - months) / 3;
    t.tm_year -= 1900;
    return (int64_t)timegm(&t) * 1000000;
}

pst_status bucket_list(bucket *b, const pst_call *call, const bucket_page *q, listing_page *page,
                       int64_t *at_us_out, pst_error *error)
{
    char most[16];
    snprintf(most, sizeof most, "%u", q->most);
    wording_clear(&b->query);
    add_parameter(b, "continuation-token", q->token);
    add_parameter(b, "delimiter", q->delimiter);
    add_parameter(b, "encoding-type", "url");
    add_parameter(b, "list-type", "2");
    add_parameter(b, "max-keys", q->most ? most : NULL);
    add_parameter(b, "prefix", q->prefix && *q->prefix ? q->prefix : NULL);
    add_parameter(b, "start-after", q->token || !q->after || !*q->after ? NULL : q->after);
    pst_status st = ask(b, call, NULL, (pull_request){0}, NULL, 0, error);
    if (st)
        return st;
    pst_error why = {.struct_size = sizeof why};
    *at_us_out = clock_of(b);
    st = listing_read((pst_bytes){b->client.answer.body.data, b->client.answer.body.len}, page, &why);
    if (st) {
        b->trouble = BUCKET_FAILS;
        return pst_fail(error, PST_E_UNAVAILABLE, "/url", "%s answered %s; asked again later",
                        b->client.answer.place, why.message);
    }
    return PST_OK;
}

/* ---- Objects ---- */

static pst_status odd(bucket *b, pst_error *error, const char *what)
{
    b->trouble = BUCKET_ITS_OWN;
    return pst_fail(error, PST_E_UNAVAILABLE, "/url", "%s answered %s", b->client.answer.place, what);
}

/* Is it the piece that was asked for? 200 is the whole object. */
static pst_status take_piece(bucket *b, uint64_t from, bucket_piece *out, pst_error *error)
{
    const pull_answer *a = &b->client.answer;
    uint64_t first = 0, last = 0;
    *out = (bucket_piece){.data = a->body.data, .len = a->body.len, .total = a->body.len};
    bucket_etag(a->etag, out->etag);
    if (a->status == 200 && !from)
        return PST_OK;
    if (a->status != 206 ||
        sscanf(b->range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64, &first, &last, &out->total) != 3)
        return odd(b, error, "no range of bytes, although it was asked for one");
    return first == from && last - first + 1 == a->body.len
               ? PST_OK
               : odd(b, error, "another range than was asked for");
}

pst_status bucket_read(bucket *b, const pst_call *call, const char *key, const char *etag, uint64_t from,
                       size_t len, bucket_piece *out, pst_error *error)
{
    char range[64], match[LISTING_ETAG_MAX + 2];
    pst_field headers[] = {{"if-match", match}, {"range", range}};
    bool any = !*etag || !strncmp(etag, "W/", 2); /* a weak one never matches */
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, from, from + len - 1);
    snprintf(match, sizeof match, "\"%s\"", etag);
    wording_clear(&b->query);
    pst_status st = ask(b, call, key, (pull_request){0}, any ? headers + 1 : headers, any ? 1 : 2, error);
    st = st ? st : take_piece(b, from, out, error);
    if (!st && *etag && out->etag[0] && strcmp(etag, out->etag) != 0) {
        b->trouble = BUCKET_CHANGED;
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s has changed", b->client.answer.place);
    }
    return st;
}

pst_status bucket_write(bucket *b, const pst_call *call, const char *key, const char *type, const void *data,
                        size_t len, pst_error *error)
{
    wording_clear(&b->query);
    pst_status st =
        ask(b, call, key, (pull_request){.method = "PUT", .body = data, .body_len = len, .type = type}, NULL,
            0, error);
    if (st || b->client.answer.etag[0])
        return st;
    b->trouble = BUCKET_FAILS;
    return pst_fail(
        error, PST_E_UNAVAILABLE, NULL,
        "%s took an object and gave no etag, so this is no S3 server; is there a proxy before it?",
        b->client.answer.place);
}
