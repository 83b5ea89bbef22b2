/* Redirects are followed here and not by libcurl, which would take the connector's own headers along to other
 * origins. */
#include "client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trust.h"
#include "url.h"

enum { REDIRECTS_MAX = 5, LATE_US = 3000000, HEADER_MAX = 8192 };

/* ---- Where to ---- */

pst_status pull_allowed(const pull_client *c, const char *url, bool *home_out, pst_error *error)
{
    char origin[PULL_ORIGIN_MAX], other[PULL_ORIGIN_MAX], path[48];
    bool known = url_show(url, false, origin, sizeof origin);
    *home_out = known && !strcmp(origin, c->home);
    if (*home_out)
        return PST_OK;
    size_t n = c->host->config_count(c->host, "/redirect_to");
    for (size_t i = 0; known && i < n; i++) {
        snprintf(path, sizeof path, "/redirect_to/%zu", i);
        if (url_show(c->host->config_text(c->host, path), false, other, sizeof other) &&
            !strcmp(origin, other))
            return PST_OK;
    }
    return pst_fail(
        error, PST_E_CONFIG, "/redirect_to",
        "%s sends us to %s, which the configuration does not name; if that is right, add it to redirect_to",
        c->home, known ? origin : "what is no URL");
}

/* ---- Health ---- */

static void tell(const pull_client *c, const pst_call *call, const char *text)
{
    const pst_health_service *health = c->host->get_service(c->host, PST_SERVICE_HEALTH);
    if (health)
        health->tell(c->host, call, text);
}

void pull_tell(pull_client *c, const pst_call *call, const char *text)
{
    if (!strncmp(c->trouble, text, sizeof c->trouble - 1))
        return;
    snprintf(c->trouble, sizeof c->trouble, "%s", text);
    tell(c, call, c->trouble);
}

static void on_wait(void *arg, int64_t waited_us)
{
    pull_client *c = arg;
    char text[PST_HEALTH_TEXT_MAX];
    if (c->waits || waited_us < LATE_US)
        return;
    snprintf(text, sizeof text, "waiting for an answer from %s", c->answer.place);
    c->waits = true;
    tell(c, c->call, text);
}

static void waited(pull_client *c, const pst_call *call)
{
    if (c->waits)
        tell(c, call, c->trouble);
    c->waits = false;
}

/* ---- Life ---- */

pst_status pull_open(pull_client *c, const pst_host *host, pst_error *error)
{
    const char *provider = host->config_text(host, "/rate/provider");
    *c = (pull_client){.host = host};
    c->rate = (pst_rate){.struct_size = sizeof c->rate,
                         .per_second = host->config_real(host, "/rate/per_second"),
                         .burst = host->config_real(host, "/rate/burst")};
    c->rate.burst = c->rate.burst < 1 ? 1 : c->rate.burst;
    snprintf(c->provider, sizeof c->provider, "%s", provider ? provider : "");
    c->answer.body.most = (size_t)host->config_int(host, "/max_answer_bytes");
    return login_open(&c->login, host, error);
}

void pull_rest(pull_client *c)
{
    transport_end(&c->t);
    login_close(&c->login);
    pst_error ignored = {.struct_size = sizeof ignored};
    login_open(&c->login, c->host, &ignored);
    c->trouble[0] = '\0';
}

void pull_close(pull_client *c)
{
    if (!c->host)
        return;
    transport_end(&c->t);
    login_close(&c->login);
    free(c->answer.body.data);
    *c = (pull_client){0};
}

/* ---- One transfer ---- */

void pull_take(const char *line, size_t len, const char *name, char *out, size_t cap, bool join)
{
    size_t n = strlen(name);
    if (len <= n || strncasecmp(line, name, n) != 0)
        return;
    line += n;
    len -= n;
    for (; len && (*line == ' ' || *line == '\t'); len--)
        line++;
    while (len && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    size_t have = join ? strlen(out) : 0;
    if (have + len + 2 >= cap)
        return; /* too long to be of use: it is as if it were not there */
    snprintf(out + have, cap - have, "%s%.*s", have ? "," : "", (int)len, line);
}

static void on_line(void *arg, const char *line, size_t len)
{
    const pull_client *c = arg;
    pull_answer *a = &((pull_client *)arg)->answer;
    pull_take(line, len, "etag:", a->etag, sizeof a->etag, false);
    pull_take(line, len, "last-modified:", a->modified, sizeof a->modified, false);
    pull_take(line, len, "link:", a->link, sizeof a->link, true);
    if (c->asking->on_line)
        c->asking->on_line(c->asking->arg, line, len);
}

static pst_status begin(pull_client *c, const pst_call *call, pst_error *error)
{
    const char *url = c->host->config_text(c->host, "/url");
    if (c->t.curl)
        return PST_OK;
    pst_status st = transport_begin(&c->t, c->host, "http,https", error);
    if (!st && !url_show(url, false, c->home, sizeof c->home))
        st = pst_fail(error, PST_E_CONFIG, "/url", "that is no URL of http or https");
    if (!st && !c->provider[0])
        snprintf(c->provider, sizeof c->provider, "%s", c->home);
    if (!st)
        st = trust_apply(&c->t, call, error);
    if (st) {
        transport_end(&c->t);
        return st;
    }
    c->t.verb = "asking";
    c->t.on_line = on_line;
    c->t.on_wait = on_wait;
    c->t.arg = c;
    c->t.limit_ms = (long)c->host->config_int(c->host, "/timeout_ms");
    curl_easy_setopt(c->t.curl, CURLOPT_USERAGENT, "penstock");
    return PST_OK;
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    char line[HEADER_MAX];
    if (!value)
        return true;
    struct curl_slist *longer = NULL;
    if (transport_is_line(value) && snprintf(line, sizeof line, "%s: %s", name, value) < (int)sizeof line)
        longer = curl_slist_append(*list, line);
    explicit_bzero(line, sizeof line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

static pst_status add_headers(const pull_client *c, const pull_request *r, struct curl_slist **list,
                              pst_error *error)
{
    const pst_host *host = c->host;
    char path[128];
    bool ok = add_header(list, "Content-Type", r->body ? r->type : NULL) &&
              add_header(list, "If-None-Match", r->etag) &&
              add_header(list, "If-Modified-Since", r->modified) &&
              add_header(list, "Expect", r->body ? "" : NULL);
    size_t n = r->bare ? 0 : host->config_count(host, "/headers");
    for (size_t i = 0; ok && !r->bare && i < r->n_headers; i++)
        ok = add_header(list, r->headers[i].key, r->headers[i].value);
    for (size_t i = 0; ok && i < n; i++) {
        const char *name = host->config_key(host, "/headers", i);
        snprintf(path, sizeof path, "/headers/%s", name);
        ok = add_header(list, name, host->config_text(host, path));
    }
    return ok ? PST_OK : pst_fail(error, PST_E_CONFIG, "/headers", "a header's value is one line of text");
}

/* Header lines hold secrets: wiped before they are freed. */
static void list_free(struct curl_slist *list)
{
    for (struct curl_slist *l = list; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data));
    curl_slist_free_all(list);
}

static void forget_answer(pull_answer *a, const char *url)
{
    a->status = 0;
    a->etag[0] = a->modified[0] = a->link[0] = '\0';
    snprintf(a->url, sizeof a->url, "%s", url);
    if (!url_show(url, true, a->place, sizeof a->place))
        snprintf(a->place, sizeof a->place, "the URL");
}

static CURLcode prepare(CURL *curl, const pull_request *r)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, r->url);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (r->body && !code) {
        size_t len = r->body_len ? r->body_len : strlen(r->body);
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        code = code ? code : curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body);
    }
    code = code ? code : curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, r->as_it_is ? 1L : 0L);
    return code ? code : curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, r->as_it_is ? NULL : "gzip");
}

static pst_status run(pull_client *c, const pst_call *call, const pull_request *r, struct curl_slist *headers,
                      pst_error *error)
{
    CURL *curl = c->t.curl;
    char detail[CURL_ERROR_SIZE] = "";
    CURLcode code = prepare(curl, r);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    if (code)
        return pst_fail(error, PST_E_INTERNAL, NULL, "libcurl: %s", curl_easy_strerror(code));
    c->t.body = &c->answer.body;
    c->t.detail = detail;
    c->call = call;
    c->asking = r;
    pst_status st = transport_run(&c->t, call, c->answer.place, &c->answer.status, error);
    waited(c, call);
    c->t.detail = NULL;
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(curl, CURLOPT_USERPWD, NULL);
    if (st == PST_E_UNAVAILABLE && error->vendor_code == CURLE_PEER_FAILED_VERIFICATION)
        return pst_fail(error, PST_E_CONFIG, "/tls",
                        "%s is not trusted: %s; tls.ca names an authority of your own", c->answer.place,
                        *detail ? detail : "its certificate");
    return st;
}

pst_status pull_exchange(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error)
{
    struct curl_slist *headers = NULL;
    pst_status st = begin(c, call, error);
    if (st)
        return st;
    forget_answer(&c->answer, r->url);
    st = add_headers(c, r, &headers, error);
    if (!st && r->user &&
        (curl_easy_setopt(c->t.curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) ||
         curl_easy_setopt(c->t.curl, CURLOPT_USERNAME, r->user) ||
         curl_easy_setopt(c->t.curl, CURLOPT_PASSWORD, r->password)))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    if (!st && !r->bare)
        st = login_put(&c->login, call, c->t.curl, &headers, error);
    if (!st)
        st = run(c, call, r, headers, error);
    list_free(headers);
    return st;
}

/* ---- A question ---- */

pst_status pull_judge(const pull_client *c, pst_error *error)
{
    const pull_answer *a = &c->answer;
    error->vendor_code = (int32_t)a->status;
    if ((a->status >= 200 && a->status < 300) || a->status == 304)
        return PST_OK;
    if (a->status == 401 || a->status == 403 || a->status == 407)
        return pst_fail(error, PST_E_AUTH, "/auth",
                        "%s answered %ld: it refuses the credential; check auth and its secret", a->place,
                        a->status);
    if (a->status == 408 || a->status == 425 || a->status == 429 || a->status >= 500) {
        error->retry_after_ms = c->t.retry_after_ms;
        return pst_fail(error, PST_E_UNAVAILABLE, NULL, "%s answered %ld%s", a->place, a->status,
                        a->status == 429 ? ": asked too often; rate says how often it may be" : "");
    }
    return pst_fail(error, PST_E_CONFIG, "/url", "%s answered %ld; check url, query and paging", a->place,
                    a->status);
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static pst_status follow(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error)
{
    char there[PULL_URL_MAX];
    pull_request next = *r;
    pst_status st = pull_exchange(c, call, r, error);
    for (int i = 0; !st && is_redirect(c->answer.status); i++) {
        char *url = NULL;
        bool home;
        curl_easy_getinfo(c->t.curl, CURLINFO_REDIRECT_URL, &url);
        if (!url || i == REDIRECTS_MAX || (r->body && c->answer.status < 307))
            return pst_fail(error, PST_E_CONFIG, "/url",
                            "%s answered %ld: a redirect that cannot be followed", c->answer.place,
                            c->answer.status);
        if (snprintf(there, sizeof there, "%s", url) >= (int)sizeof there)
            return pst_fail(error, PST_E_CONFIG, "/url", "%s redirects to a URL that is too long",
                            c->answer.place);
        st = pull_allowed(c, there, &home, error);
        next.url = there;
        next.bare = next.bare || !home;
        if (!st)
            st = pull_exchange(c, call, &next, error);
    }
    return st;
}

static pst_status wait_turn(const pull_client *c, const pst_call *call, pst_error *error)
{
    const pst_limit_service *limit = c->host->get_service(c->host, PST_SERVICE_LIMIT);
    const int64_t at_most_us = 2000000;
    if (c->rate.per_second <= 0 || !limit)
        return PST_OK;
    return limit->acquire(c->host, call, c->provider, 1, &c->rate, at_most_us, error);
}

pst_status pull_ask(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error)
{
    bool home;
    pull_request asked = *r;
    c->answer.status = 0;
    pst_status st = begin(c, call, error);
    st = st ? st : pull_allowed(c, r->url, &home, error);
    asked.bare = st || !home;
    for (int tries = 0; !st && tries < 2; tries++) {
        if (!asked.bare)
            st = login_prepare(&c->login, c, call, error);
        if (!st)
            st = wait_turn(c, call, error);
        if (!st)
            st = follow(c, call, &asked, error);
        if (st || c->answer.status != 401 || asked.bare || !login_refused(&c->login, call))
            break;
    }
    return st ? st : pull_judge(c, error);
}

/* The beginning of what the far side said, on one line. */
static int first_words(const pull_answer *a, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < a->body.len && n + 1 < size; i++) {
        char ch = a->body.data[i];
        if (ch >= ' ' && ch <= '~')
            out[n++] = ch;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    out[n] = '\0';
    return (int)n;
}

pst_status pull_post(pull_client *c, const pst_call *call, const pull_request *r, pst_error *error)
{
    static const long refusals[] = {400, 409, 413, 415, 422};
    char words[160];
    pst_status st = pull_ask(c, call, r, error);
    for (size_t i = 0; st && i < sizeof refusals / sizeof refusals[0]; i++)
        if (c->answer.status == refusals[i]) {
            int len = first_words(&c->answer, words, sizeof words);
            return pst_fail(error, PST_E_DATA, NULL, "%s answered %ld%s%.*s", c->answer.place,
                            c->answer.status, len ? ": " : "", len, words);
        }
    return st;
}
