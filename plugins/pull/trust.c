#include "trust.h"

#include <string.h>

enum { SECRET_MAX = 4096 };

static pst_status internal(CURLcode code, pst_error *error)
{
    return pst_fail(error, PST_E_INTERNAL, NULL, "libcurl: %s", curl_easy_strerror(code));
}

static pst_status set_material(transport *t, const pst_call *call, const char *path, CURLoption option,
                               pst_error *error)
{
    const pst_host *host = t->host;
    const pst_material_service *material = host->get_service(host, PST_SERVICE_MATERIAL);
    pst_blob bytes = {.struct_size = sizeof bytes};
    if (!host->config_has(host, path))
        return PST_OK;
    if (!material)
        return pst_fail(error, PST_E_UNSUPPORTED, path, "this host hands over no certificates");
    pst_status st = material->fetch(host, call, path, &bytes, error);
    if (st)
        return st;
    struct curl_blob copy = {.data = bytes.data, .len = bytes.len, .flags = CURL_BLOB_COPY};
    CURLcode code = curl_easy_setopt(t->curl, option, &copy);
    bytes.release(&bytes);
    return code ? internal(code, error) : PST_OK;
}

static pst_status set_proxy(transport *t, const pst_call *call, pst_error *error)
{
    const pst_host *host = t->host;
    const char *url = host->config_text(host, "/proxy/url"), *user = host->config_text(host, "/proxy/user");
    char password[SECRET_MAX];
    size_t len = 0;
    if (!url)
        return PST_OK;
    CURLcode code = curl_easy_setopt(t->curl, CURLOPT_PROXY, url);
    code = code || !user ? code : curl_easy_setopt(t->curl, CURLOPT_PROXYUSERNAME, user);
    if (code)
        return internal(code, error);
    if (!host->config_has(host, "/proxy/password"))
        return PST_OK;
    pst_status st = host->secret(host, call, "/proxy/password", password, sizeof password, &len, error);
    if (!st)
        code = curl_easy_setopt(t->curl, CURLOPT_PROXYPASSWORD, password);
    explicit_bzero(password, sizeof password);
    return st ? st : code ? internal(code, error) : PST_OK;
}

pst_status trust_apply(transport *t, const pst_call *call, pst_error *error)
{
    static const struct {
        const char *path;
        CURLoption option;
    } materials[] = {{"/tls/ca", CURLOPT_CAINFO_BLOB},
                     {"/tls/certificate", CURLOPT_SSLCERT_BLOB},
                     {"/tls/key", CURLOPT_SSLKEY_BLOB}};
    pst_status st = PST_OK;
    for (size_t i = 0; !st && i < sizeof materials / sizeof *materials; i++)
        st = set_material(t, call, materials[i].path, materials[i].option, error);
    return st ? st : set_proxy(t, call, error);
}
