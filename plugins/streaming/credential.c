/* The random end of the name lies in penstock.state under "client"; a host without it gives the bare name. */
#include "credential.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const char client_key[] = "client";

static void make_suffix(char out[17])
{
    uint64_t n = 0;
    if (getrandom(&n, sizeof n, 0) != (ssize_t)sizeof n)
        n = 0;
    snprintf(out, 17, "%016llx", (unsigned long long)n);
}

/* What makes our name differ from that of another host, the same for ever; "" where nothing can be kept. */
static pst_status suffix_of(const pst_host *host, const pst_call *call, char out[17], pst_error *error)
{
    const pst_state_service *state = host->get_service(host, PST_SERVICE_STATE);
    size_t len = 0;
    uint64_t version = 0;
    out[0] = '\0';
    if (!state)
        return PST_OK;
    pst_status st = state->get(host, call, client_key, out, 16, &len, &version, error);
    if (st || version) {
        out[st ? 0 : len] = '\0';
        return st;
    }
    make_suffix(out);
    return state->put(host, call, client_key, (pst_bytes){out, 16}, PST_STATE_ANY, 0, NULL, error);
}

pst_status credential_own_name(const pst_host *host, const pst_call *call, char out[CREDENTIAL_NAME_MAX],
                               pst_error *error)
{
    char suffix[17];
    pst_status st = suffix_of(host, call, suffix, error);
    snprintf(out, CREDENTIAL_NAME_MAX, "penstock-%.40s-%.40s-%s", host->workspace, host->instance_name,
             suffix);
    return st;
}

bool credential_is_trial(const pst_host *host)
{
    static const char prefix[] = "trial:";
    return strncmp(host->instance_name, prefix, sizeof prefix - 1) == 0;
}

pst_status credential_secret(const pst_host *host, const pst_call *call, const char *path, char *out,
                             size_t cap, pst_error *error)
{
    size_t len;
    out[0] = '\0';
    return host->config_has(host, path) ? host->secret(host, call, path, out, cap, &len, error) : PST_OK;
}

pst_status credential_pem(const pst_host *host, const pst_call *call, const char *path, pst_blob *out,
                          pst_error *error)
{
    const pst_material_service *material = host->get_service(host, PST_SERVICE_MATERIAL);
    *out = (pst_blob){.struct_size = sizeof *out};
    if (!host->config_has(host, path))
        return PST_OK;
    return material ? material->fetch(host, call, path, out, error)
                    : pst_fail(error, PST_E_UNSUPPORTED, path, "this host hands over no certificates");
}

void credential_release(pst_blob *pem)
{
    if (pem->data && pem->release)
        pem->release(pem);
    *pem = (pst_blob){0};
}
