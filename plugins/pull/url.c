#include "url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

static bool url_part(CURLU *u, CURLUPart part, char *out, size_t cap)
{
    char *text = NULL;
    bool ok = !curl_url_get(u, part, &text, CURLU_DEFAULT_PORT) && strlen(text) < cap;
    if (ok)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    return ok;
}

bool url_show(const char *url, bool path, char *out, size_t cap)
{
    char scheme[16], host[256], port[8], rest[PULL_URL_MAX] = "";
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, url, 0) &&
              url_part(u, CURLUPART_SCHEME, scheme, sizeof scheme) &&
              url_part(u, CURLUPART_HOST, host, sizeof host) &&
              url_part(u, CURLUPART_PORT, port, sizeof port) &&
              (!path || url_part(u, CURLUPART_PATH, rest, sizeof rest)) && !strncmp(scheme, "http", 4);
    curl_url_cleanup(u);
    bool usual = path && !strcmp(port, strcmp(scheme, "https") ? "80" : "443");
    if (ok)
        snprintf(out, cap, "%s://%s%s%s%s", scheme, host, usual ? "" : ":", usual ? "" : port, rest);
    return ok;
}

bool url_resolve(const char *base, const char *url, char out[PULL_URL_MAX])
{
    char scheme[16];
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, base, 0) && !curl_url_set(u, CURLUPART_URL, url, 0) &&
              url_part(u, CURLUPART_SCHEME, scheme, sizeof scheme) && !strncmp(scheme, "http", 4);
    char *text = NULL;
    ok = ok && !curl_url_get(u, CURLUPART_URL, &text, 0) && strlen(text) < PULL_URL_MAX;
    if (ok)
        memcpy(out, text, strlen(text) + 1);
    curl_free(text);
    curl_url_cleanup(u);
    return ok;
}
