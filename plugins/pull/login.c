#include "login.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "wording.h"

enum { SECRET_MAX = 8192, LIVES_S = 3600, MARGIN_S = 60, KEPT_MAX = LOGIN_TOKEN_MAX + 64 };
#define TOKEN_KEY "token"

pst_status login_open(login *l, const pst_host *host, pst_error *error)
{
    static const char *const kinds[] = {
        [LOGIN_HEADER] = "header", [LOGIN_BASIC] = "basic", [LOGIN_OAUTH] = "oauth", [LOGIN_FORM] = "login"};
    const char *named = host->config_key(host, "/auth", 0);
    *l = (login){.host = host};
    for (size_t k = LOGIN_HEADER; named && k <= LOGIN_FORM; k++)
        if (!strcmp(named, kinds[k]))
            l->kind = (login_kind)k;
    bool tokens = l->kind >= LOGIN_OAUTH;
    if (tokens && (!host->get_service(host, PST_SERVICE_JSON) || !host->get_service(host, PST_SERVICE_STATE)))
        return pst_fail(error, PST_E_UNSUPPORTED, "/auth", "this host keeps no tokens for plugins");
    return PST_OK;
}

void login_close(login *l)
{
    explicit_bzero(l, sizeof *l);
}

static const char *setting(const login *l, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/auth/%s/%s", l->kind == LOGIN_OAUTH ? "oauth" : "login", name);
    return l->host->config_text(l->host, path);
}

/* ---- The token kept ---- */

/* A token is of the settings it was asked with. */
static uint64_t print_of_settings(const login *l)
{
    static const char *const names[] = {"token_url", "url", "client_id", "scope", "audience", "user"};
    uint64_t print = 14695981039346656037u;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = setting(l, names[i]);
        for (; text && *text; text++)
            print = (print ^ (unsigned char)*text) * 1099511628211u;
        print = (print ^ 0xff) * 1099511628211u;
    }
    return print;
}

static void load_token(login *l, const pst_call *call)
{
    const pst_state_service *state = l->host->get_service(l->host, PST_SERVICE_STATE);
    char kept[KEPT_MAX];
    size_t len = 0;
    uint64_t version = 0, print = 0;
    int64_t renew_us = 0;
    int at = 0;
    pst_error ignored = {.struct_size = sizeof ignored};
    l->looked = true;
    if (state->get(l->host, call, TOKEN_KEY, kept, sizeof kept - 1, &len, &version, &ignored) || !version)
        return;
    kept[len] = '\0';
    if (sscanf(kept, "%" SCNu64 " %" SCNd64 " %n", &print, &renew_us, &at) == 2 && at &&
        print == print_of_settings(l) && strlen(kept + at) <= LOGIN_TOKEN_MAX) {
        memcpy(l->token, kept + at, strlen(kept + at) + 1);
        l->renew_us = renew_us;
    }
    explicit_bzero(kept, sizeof kept);
}

/* A state that cannot be written costs a login after the next restart, nothing more. */
static void keep_token(const login *l, const pst_call *call)
{
    const pst_state_service *state = l->host->get_service(l->host, PST_SERVICE_STATE);
    char kept[KEPT_MAX];
    pst_error ignored = {.struct_size = sizeof ignored};
    int len = snprintf(kept, sizeof kept, "%" PRIu64 " %" PRId64 " %s", print_of_settings(l), l->renew_us,
                       l->token);
    state->put(l->host, call, TOKEN_KEY, (pst_bytes){kept, (size_t)len}, PST_STATE_ANY, l->renew_us, NULL,
               &ignored);
    explicit_bzero(kept, sizeof kept);
}

bool login_refused(login *l, const pst_call *call)
{
    pst_error ignored = {.struct_size = sizeof ignored};
    if (l->kind < LOGIN_OAUTH)
        return false;
    const pst_state_service *state = l->host->get_service(l->host, PST_SERVICE_STATE);
    state->remove(l->host, call, TOKEN_KEY, PST_STATE_ANY, &ignored);
    explicit_bzero(l->token, sizeof l->token);
    l->renew_us = 0;
    return true;
}

/* ---- A new token ---- */

static pst_status add_secret(const login *l, const pst_call *call, const char *path, wording *w,
                             wording_as as, pst_error *error)
{
    char secret[SECRET_MAX];
    size_t len = 0;
    pst_status st = l->host->secret(l->host, call, path, secret, sizeof secret, &len, error);
    if (!st)
        wording_add(w, as, secret, len);
    explicit_bzero(secret, sizeof secret);
    return st;
}

/* name=value of a form, or "name":"value" of a JSON object; the value follows by itself if it is NULL. */
static void begin_field(wording *w, bool json, const char *name, const char *value)
{
    wording_as as = json ? WORDING_JSON : WORDING_URL;
    wording_add_text(w, WORDING_PLAIN, json ? (w->len > 1 ? ",\"" : "\"") : w->len ? "&" : "");
    wording_add_text(w, as, name);
    wording_add_text(w, WORDING_PLAIN, json ? "\":\"" : "=");
    if (value)
        wording_add_text(w, as, value);
    if (value && json)
        wording_add_text(w, WORDING_PLAIN, "\"");
}

/* The client says who it is in the header and not in the form (RFC 6749, 2.3.1). */
static bool is_basic(const login *l)
{
    return l->kind == LOGIN_OAUTH && !strcmp(setting(l, "send"), "basic");
}

static pst_status write_oauth(const login *l, const pst_call *call, wording *w, pst_error *error)
{
    const char *scope = setting(l, "scope"), *audience = setting(l, "audience");
    begin_field(w, false, "grant_type", "client_credentials");
    if (scope)
        begin_field(w, false, "scope", scope);
    if (audience)
        begin_field(w, false, "audience", audience);
    if (is_basic(l))
        return PST_OK;
    begin_field(w, false, "client_id", setting(l, "client_id"));
    begin_field(w, false, "client_secret", NULL);
    return add_secret(l, call, "/auth/oauth/client_secret", w, WORDING_URL, error);
}

static pst_status write_login(const login *l, const pst_call *call, bool json, wording *w, pst_error *error)
{
    const char *user = setting(l, "user");
    char path[128];
    wording_add_text(w, WORDING_PLAIN, json ? "{" : "");
    size_t n = l->host->config_count(l->host, "/auth/login/fields");
    for (size_t i = 0; i < n; i++) {
        const char *name = l->host->config_key(l->host, "/auth/login/fields", i);
        snprintf(path, sizeof path, "/auth/login/fields/%s", name);
        begin_field(w, json, name, l->host->config_text(l->host, path));
    }
    if (user)
        begin_field(w, json, setting(l, "user_field"), user);
    begin_field(w, json, setting(l, "password_field"), NULL);
    pst_status st = add_secret(l, call, "/auth/login/password", w, json ? WORDING_JSON : WORDING_URL, error);
    wording_add_text(w, WORDING_PLAIN, json ? "\"}" : "");
    return st;
}

/* The word that says why (RFC 6749, 5.2), if there is one. */
static pst_status refused(const pull_client *c, const pst_json_service *json, const pst_json *answer,
                          pst_error *error)
{
    const char *why = json->text(answer, "/error");
    bool fine = why && strlen(why) < 60 && transport_is_line(why);
    error->vendor_code = (int32_t)c->answer.status;
    return pst_fail(error, PST_E_AUTH, "/auth",
                    "%s answered %ld%s%s: the login is refused; check auth and its secret", c->answer.place,
                    c->answer.status, fine ? " " : "", fine ? why : "");
}

static pst_status take_token(login *l, const pull_client *c, const pst_json_service *json,
                             const pst_json *answer, pst_error *error)
{
    bool oauth = l->kind == LOGIN_OAUTH;
    const char *where = oauth ? "/access_token" : setting(l, "token");
    const char *lives_at = oauth ? "/expires_in" : setting(l, "lives");
    const char *token = json->text(answer, where);
    if (!token || !transport_is_line(token) || strlen(token) > LOGIN_TOKEN_MAX)
        return pst_fail(error, PST_E_AUTH, "/auth", "the answer of %s has no token at %s", c->answer.place,
                        where);
    int64_t lives_s = lives_at ? (int64_t)json->real(answer, lives_at) : 0;
    if (lives_s <= 0)
        lives_s = oauth ? LIVES_S : l->host->config_int(l->host, "/auth/login/lives_s");
    int64_t margin_s = lives_s / 10 < MARGIN_S ? lives_s / 10 : MARGIN_S;
    memcpy(l->token, token, strlen(token) + 1);
    l->renew_us = l->host->wall_us(l->host) + (lives_s - margin_s) * 1000000;
    return PST_OK;
}

static pst_status read_answer(login *l, const pull_client *c, pst_error *error)
{
    const pst_json_service *json = l->host->get_service(l->host, PST_SERVICE_JSON);
    pst_error ignored = {.struct_size = sizeof ignored};
    pst_bytes text = {c->answer.body.data, c->answer.body.len};
    pst_json *answer = json->parse(l->host, text, &ignored);
    pst_status st;
    if (c->answer.status == 400 || c->answer.status == 401 || c->answer.status == 403)
        st = refused(c, json, answer, error);
    else if (c->answer.status < 200 || c->answer.status > 299)
        st = pull_judge(c, error);
    else
        st = take_token(l, c, json, answer, error);
    if (answer)
        json->discard(answer);
    return st;
}

pst_status login_prepare(login *l, pull_client *c, const pst_call *call, pst_error *error)
{
    wording body = {0}, user = {0}, password = {0};
    if (l->kind < LOGIN_OAUTH)
        return PST_OK;
    if (!l->looked)
        load_token(l, call);
    if (l->renew_us > l->host->wall_us(l->host))
        return PST_OK;
    bool oauth = l->kind == LOGIN_OAUTH, json = !oauth && !strcmp(setting(l, "send"), "json");
    pst_status st = oauth ? write_oauth(l, call, &body, error) : write_login(l, call, json, &body, error);
    if (!st && is_basic(l)) {
        wording_add_text(&user, WORDING_URL, setting(l, "client_id"));
        st = add_secret(l, call, "/auth/oauth/client_secret", &password, WORDING_URL, error);
    }
    pull_request r = {.url = setting(l, oauth ? "token_url" : "url"),
                      .body = wording_text(&body),
                      .type = json ? "application/json" : "application/x-www-form-urlencoded",
                      .user = user.len ? wording_text(&user) : NULL,
                      .password = wording_text(&password),
                      .bare = true};
    if (!st && (body.failed || user.failed || password.failed))
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory for a login");
    if (!st)
        st = pull_exchange(c, call, &r, error);
    wording_free(&body);
    wording_free(&user);
    wording_free(&password);
    if (!st)
        st = read_answer(l, c, error);
    if (!st)
        keep_token(l, call);
    return st;
}

/* ---- What goes with a question ---- */

static pst_status put_line(const login *l, const pst_call *call, const char *name, const char *prefix,
                           struct curl_slist **headers, pst_error *error)
{
    wording line = {0};
    wording_add_text(&line, WORDING_PLAIN, name);
    wording_add_text(&line, WORDING_PLAIN, ": ");
    wording_add_text(&line, WORDING_PLAIN, prefix ? prefix : "");
    pst_status st = PST_OK;
    if (l->kind == LOGIN_HEADER)
        st = add_secret(l, call, "/auth/header/value", &line, WORDING_PLAIN, error);
    else
        wording_add_text(&line, WORDING_PLAIN, l->token);
    if (!st && !transport_is_line(wording_text(&line)))
        st = pst_fail(error, PST_E_CONFIG, "/auth", "a header's value is one line of text");
    struct curl_slist *longer = st || line.failed ? NULL : curl_slist_append(*headers, wording_text(&line));
    if (!st && !longer)
        st = pst_fail(error, PST_E_RESOURCE, NULL, "no memory");
    *headers = longer ? longer : *headers;
    wording_free(&line);
    return st;
}

static pst_status put_basic(const login *l, const pst_call *call, CURL *curl, pst_error *error)
{
    char password[SECRET_MAX];
    size_t len = 0;
    pst_status st =
        l->host->secret(l->host, call, "/auth/basic/password", password, sizeof password, &len, error);
    CURLcode code = CURLE_OK;
    if (!st) {
        code = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        code = code ? code
                    : curl_easy_setopt(curl, CURLOPT_USERNAME,
                                       l->host->config_text(l->host, "/auth/basic/user"));
        code = code ? code : curl_easy_setopt(curl, CURLOPT_PASSWORD, password);
    }
    explicit_bzero(password, sizeof password);
    return st ? st : code ? pst_fail(error, PST_E_RESOURCE, NULL, "no memory") : PST_OK;
}

pst_status login_put(login *l, const pst_call *call, CURL *curl, struct curl_slist **headers,
                     pst_error *error)
{
    const pst_host *host = l->host;
    switch (l->kind) {
    case LOGIN_HEADER:
        return put_line(l, call, host->config_text(host, "/auth/header/name"),
                        host->config_text(host, "/auth/header/prefix"), headers, error);
    case LOGIN_BASIC:
        return put_basic(l, call, curl, error);
    case LOGIN_OAUTH:
        return put_line(l, call, "Authorization", "Bearer ", headers, error);
    case LOGIN_FORM:
        return put_line(l, call, setting(l, "header"), setting(l, "prefix"), headers, error);
    default:
        return PST_OK;
    }
}
