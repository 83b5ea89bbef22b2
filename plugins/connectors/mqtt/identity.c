/* Without a setting the client identifier is made of the names of workspace and instance and of a few random
 * characters that are kept: two hosts with the same names must not take each other's session. */
#include "identity.h"

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
static pst_status suffix_of(const settings *set, const pst_call *call, char out[17], pst_error *error)
{
    const pst_state_service *state = set->host->get_service(set->host, PST_SERVICE_STATE);
    size_t len = 0;
    uint64_t version = 0;
    out[0] = '\0';
    if (!state)
        return PST_OK;
    pst_status st = state->get(set->host, call, client_key, out, 16, &len, &version, error);
    if (st || version) {
        out[st ? 0 : len] = '\0';
        return st;
    }
    make_suffix(out);
    return state->put(set->host, call, client_key, (pst_bytes){out, 16}, PST_STATE_ANY, 0, NULL, error);
}

static pst_status take_secret(const settings *set, const pst_call *call, const char *path, char *out,
                              size_t cap, pst_error *error)
{
    size_t len;
    out[0] = '\0';
    return set->host->config_has(set->host, path)
               ? set->host->secret(set->host, call, path, out, cap, &len, error)
               : PST_OK;
}

static pst_status take_trust(const settings *set, const pst_call *call, identity *i, pst_error *error)
{
    static const char *const paths[] = {"/tls/ca", "/tls/certificate", "/tls/key"};
    const pst_material_service *material = set->host->get_service(set->host, PST_SERVICE_MATERIAL);
    tls_pem *const pems[] = {&i->trust.authorities, &i->trust.certificate, &i->trust.key};
    pst_status st = PST_OK;
    for (size_t k = 0; !st && k < 3; k++) {
        if (!set->tls || !set->host->config_has(set->host, paths[k]))
            continue;
        i->pem[k].struct_size = sizeof i->pem[k];
        st = material ? material->fetch(set->host, call, paths[k], &i->pem[k], error)
                      : pst_fail(error, PST_E_UNSUPPORTED, paths[k], "this host hands over no certificates");
        *pems[k] = (tls_pem){i->pem[k].data, i->pem[k].len};
    }
    return st;
}

pst_status identity_read(const settings *set, const pst_call *call, identity *i, pst_error *error)
{
    char suffix[17];
    pst_status st = PST_OK;
    memset(i, 0, sizeof *i);
    if (set->client_id) {
        snprintf(i->client_id, sizeof i->client_id, "%s", set->client_id);
    } else {
        st = suffix_of(set, call, suffix, error);
        snprintf(i->client_id, sizeof i->client_id, "penstock-%.40s-%.40s-%s", set->host->workspace,
                 set->host->instance_name, suffix);
    }
    if (!st)
        st = take_secret(set, call, "/password", i->password_text, sizeof i->password_text, error);
    if (!st)
        st = take_trust(set, call, i, error);
    i->password = set->has_password ? i->password_text : NULL;
    return st;
}

void identity_disguise(identity *i)
{
    static const char suffix[] = "-look";
    size_t len = strnlen(i->client_id, sizeof i->client_id - sizeof suffix);
    memcpy(i->client_id + len, suffix, sizeof suffix);
}

bool identity_is_trial(const settings *set)
{
    static const char prefix[] = "trial:";
    return strncmp(set->host->instance_name, prefix, sizeof prefix - 1) == 0;
}

void identity_wipe(identity *i)
{
    for (size_t k = 0; k < 3; k++)
        if (i->pem[k].data && i->pem[k].release)
            i->pem[k].release(&i->pem[k]);
    explicit_bzero(i, sizeof *i);
}

uint64_t identity_place(const settings *set, const identity *i)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *const texts[] = {set->place.host, set->place.port, i->client_id};
    for (size_t k = 0; k < 3; k++)
        for (const char *c = texts[k];; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
            if (!*c)
                break;
        }
    return hash;
}
