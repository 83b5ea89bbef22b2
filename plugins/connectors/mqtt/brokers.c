#include "brokers.h"

#include <stdio.h>
#include <string.h>

#include "credential.h"

enum { TRY_US = 2500000, LEAVE_US = 5000000 };

static int64_t now(const brokers *b)
{
    return b->set->host->now_us(b->set->host);
}

void brokers_init(brokers *b, const settings *set)
{
    *b = (brokers){.set = set, .next = {.tcp = {.fd = -1}}};
}

void brokers_close(brokers *b)
{
    session_close(&b->next);
}

/* Where there are others, one that says nothing is given up soon. */
static pst_status try_one(brokers *b, size_t i, const pst_call *call, const identity *who, session *out,
                          pst_error *error)
{
    const settings_broker *one = &b->set->brokers[i];
    pst_call own = *call;
    int64_t end_us = now(b) + TRY_US;
    if (b->set->n_brokers > 1 && end_us < own.deadline_us)
        own.deadline_us = end_us;
    pst_status st = session_open(out, b->set, one, &own, who, b->trial, error);
    if (st == PST_E_TIMEOUT && !b->set->host->cancelled(b->set->host, call))
        st = pst_fail(error, PST_E_UNAVAILABLE, one->place.where, "%s:%s does not answer", one->place.host,
                      one->place.port);
    snprintf(b->trouble[i], sizeof b->trouble[i], "%s", st ? error->message : "");
    return st;
}

static bool needs_person(pst_status st)
{
    return st == PST_E_CONFIG || st == PST_E_AUTH;
}

static pst_status try_all(brokers *b, const pst_call *call, const identity *who, session *out,
                          pst_error *error)
{
    const pst_host *host = b->set->host;
    pst_status st = PST_E_UNAVAILABLE, kept = PST_OK;
    pst_error first = *error;
    for (size_t k = 0; k < b->set->n_brokers; k++) {
        size_t i = (b->at + k) % b->set->n_brokers;
        st = try_one(b, i, call, who, out, error);
        if (!st) {
            b->at = i;
            return PST_OK;
        }
        if (host->cancelled(host, call))
            return st;
        if (!kept || (needs_person(st) && !needs_person(kept))) {
            kept = st;
            first = *error;
        }
    }
    *error = first;
    return kept;
}

pst_status brokers_open(brokers *b, const pst_call *call, bool trial, session *out, pst_error *error)
{
    identity who;
    brokers_close(b);
    b->trial = trial;
    b->told = false;
    pst_status st = identity_read(b->set, call, &who, error);
    if (trial)
        identity_disguise(&who);
    if (!st)
        st = try_all(b, call, &who, out, error);
    identity_wipe(&who);
    b->look_us = now(b) + b->set->return_us;
    return st;
}

void brokers_failed(brokers *b)
{
    b->at = (b->at + 1) % b->set->n_brokers;
}

static void tell(brokers *b, const pst_call *call)
{
    const pst_host *host = b->set->host;
    const pst_health_service *health = host->get_service(host, PST_SERVICE_HEALTH);
    const tcp_place *serves = &b->set->brokers[b->at].place;
    char text[PST_HEALTH_TEXT_MAX] = "";
    if (b->at)
        snprintf(text, sizeof text, "the fallback %.80s:%s serves: %s", serves->host, serves->port,
                 *b->trouble[0] ? b->trouble[0] : "the broker failed");
    if (health && b->set->n_brokers > 1)
        health->tell(host, call, text);
    b->told = true;
}

void brokers_look(brokers *b, const pst_call *call)
{
    identity who;
    pst_error error = {.struct_size = sizeof error};
    if (!b->told)
        tell(b, call);
    if (!b->at || !b->set->return_us || b->trial || brokers_leaving(b) || now(b) < b->look_us)
        return;
    pst_status st = identity_read(b->set, call, &who, &error);
    for (size_t i = 0; !st && i < b->at && !brokers_leaving(b); i++)
        if (!try_one(b, i, call, &who, &b->next, &error))
            b->next_at = i;
    identity_wipe(&who);
    b->look_us = now(b) + b->set->return_us;
    b->leave_us = now(b) + LEAVE_US;
    b->told = false;
}

bool brokers_leaving(const brokers *b)
{
    return b->next.tcp.fd >= 0;
}

bool brokers_in_haste(const brokers *b)
{
    return now(b) >= b->leave_us;
}

void brokers_switch(brokers *b, session *s)
{
    session_close(s);
    *s = b->next;
    b->next = (session){.tcp = {.fd = -1}};
    b->at = b->next_at;
    b->told = false;
}
