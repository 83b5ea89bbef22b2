/* Verification asks the database each time: the router remembers keys for a few seconds. */
#include "serve/access.h"

#include <stdio.h>
#include <string.h>

#include "control/idempotency.h"
#include "control/key.h"

/* ---- scopes ---- */

static unsigned verbs_read(const json_t *words)
{
    unsigned verbs = 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        verb one;
        if (word && strcmp(word, "*") == 0)
            verbs |= VERB_ALL;
        else if (word && verb_parse(word, &one))
            verbs |= (unsigned)one;
    }
    return verbs;
}

void access_scopes_read(const json_t *scopes, principal *out)
{
    out->n_scopes = 0;
    for (size_t i = 0; i < json_array_size(scopes) && out->n_scopes < PRINCIPAL_SCOPES_MAX; i++) {
        const json_t *s = json_array_get(scopes, i), *wid = json_object_get(s, "wid"),
                     *reference = json_object_get(s, "reference");
        bool readable = (!wid || json_is_integer(wid)) && (!reference || json_is_string(reference)) &&
                        json_string_length(reference) < sizeof out->scopes[0].reference;
        if (!readable)
            continue;
        scope *to = &out->scopes[out->n_scopes++];
        *to = (scope){.wid = json_integer_value(wid), .verbs = verbs_read(json_object_get(s, "verbs"))};
        if (reference)
            snprintf(to->reference, sizeof to->reference, "%s", json_string_value(reference));
    }
}

json_t *access_scope_parse(const char *word, int32_t wid)
{
    const char *colon = strchr(word, ':'), *reference = colon ? colon + 1 : "*";
    json_t *verbs = json_array();
    for (const char *at = word; *at && *at != ':';) {
        size_t len = strcspn(at, ",:");
        json_array_append_new(verbs, json_stringn(at, len));
        at += len;
        at += *at == ',';
    }
    bool fine = json_array_size(verbs) > 0 && *reference && strlen(reference) < sizeof((scope *)0)->reference;
    json_t *out =
        fine ? json_pack("{s:i,s:O,s:s}", "wid", (int)wid, "verbs", verbs, "reference", reference) : NULL;
    json_decref(verbs);
    return out;
}

/* ---- keys ---- */

static status_class verify(void *self, const char *key, principal *who, status *st)
{
    services *s = self;
    connection *db = NULL;
    key_record record = {.scopes = NULL};
    status_class class = pool_borrow(s->control->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class != STATUS_OK)
        return status_set(st, STATUS_UNAVAILABLE, "the key cannot be checked: the control plane is away");
    class = key_verify(db, key, &record, st);
    pool_return(s->control->control, db);
    if (class == STATUS_OK) {
        *who = (principal){.kind = "key"};
        snprintf(who->id, sizeof who->id, "%s", record.id);
        access_scopes_read(record.scopes, who);
    }
    json_decref(record.scopes);
    return class;
}

static status_class find_workspace(void *self, const char *name, int64_t *wid_out, status *st)
{
    services *s = self;
    *wid_out = directory_find(s->directory, name);
    return *wid_out ? STATUS_OK : status_set(st, STATUS_NOT_FOUND, "there is no workspace %.60s", name);
}

auth_source access_auth(services *s)
{
    return (auth_source){.self = s, .key_verify = verify, .workspace_find = find_workspace};
}

/* ---- kept answers ---- */

static status_class begin(void *self, const char *who, const char *key, const uint8_t hash[32],
                          idempotency_verdict *verdict, int *http_status, text *body, status *st)
{
    static const idempotency_verdict verdicts[] = {[IDEMPOTENCY_FIRST] = IDEMPOTENCY_NEW,
                                                   [IDEMPOTENCY_ANSWERED] = IDEMPOTENCY_REPLAY,
                                                   [IDEMPOTENCY_UNDER_WAY] = IDEMPOTENCY_RUNNING,
                                                   [IDEMPOTENCY_DIFFERS] = IDEMPOTENCY_OTHER};
    services *s = self;
    connection *db = NULL;
    idempotency_state state;
    status_class class = pool_borrow(s->control->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = idempotency_start(db, who, key, hash, &state, http_status, body, st);
    pool_return(s->control->control, db);
    if (class == STATUS_OK)
        *verdict = verdicts[state];
    return class;
}

static status_class finish(void *self, const char *who, const char *key, int http_status, const char *body,
                           size_t len, status *st)
{
    services *s = self;
    connection *db = NULL;
    status_class class = pool_borrow(s->control->control, NULL, CONTROL_WAIT_MS, &db, st);
    if (class == STATUS_OK)
        class = idempotency_finish(db, who, key, http_status, body, len, st);
    pool_return(s->control->control, db);
    return class;
}

idempotency_store access_idempotency(services *s)
{
    return (idempotency_store){.self = s, .begin = begin, .finish = finish};
}
