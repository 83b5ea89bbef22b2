/* Without a setting the client identifier is made of the names of workspace and instance and of a few random
 * characters that are kept: two hosts with the same names must not take each other's session. */
#include "identity.h"

#include <stdio.h>
#include <string.h>

#include "credential.h"

static pst_status take_trust(const settings *set, const pst_call *call, identity *i, pst_error *error)
{
    static const char *const paths[] = {"/tls/ca", "/tls/certificate", "/tls/key"};
    tls_pem *const pems[] = {&i->trust.authorities, &i->trust.certificate, &i->trust.key};
    pst_status st = PST_OK;
    bool wanted = false;
    for (size_t k = 0; k < set->n_brokers; k++)
        wanted = wanted || set->brokers[k].tls;
    for (size_t k = 0; !st && wanted && k < 3; k++) {
        st = credential_pem(set->host, call, paths[k], &i->pem[k], error);
        *pems[k] = (tls_pem){i->pem[k].data, i->pem[k].len};
    }
    return st;
}

pst_status identity_read(const settings *set, const pst_call *call, identity *i, pst_error *error)
{
    pst_status st = PST_OK;
    memset(i, 0, sizeof *i);
    if (set->client_id)
        snprintf(i->client_id, sizeof i->client_id, "%s", set->client_id);
    else
        st = credential_own_name(set->host, call, i->client_id, error);
    if (!st)
        st =
            credential_secret(set->host, call, "/password", i->password_text, sizeof i->password_text, error);
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

void identity_wipe(identity *i)
{
    for (size_t k = 0; k < 3; k++)
        credential_release(&i->pem[k]);
    explicit_bzero(i, sizeof *i);
}

uint64_t identity_owner(const settings *set, const settings_broker *broker, const identity *i)
{
    const tcp_place *place = set->shared_sessions ? &set->brokers[0].place : &broker->place;
    uint64_t hash = UINT64_C(14695981039346656037);
    const char *const texts[] = {place->host, place->port, i->client_id};
    for (size_t k = 0; k < 3; k++)
        for (const char *c = texts[k];; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
            if (!*c)
                break;
        }
    return hash;
}
