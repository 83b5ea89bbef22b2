#include "flow/trial.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "control/plugin_state.h"
#include "control/secret.h"
#include "flow/trial_private.h"

enum { BORROW_WAIT_MS = 10000, SECRET_SHOWN_MAX = 3 /* shorter ones would take words out of sentences */ };

/* ---- secrets ---- */

static status_class fetch_secret(void *self, const char *workspace, const char *reference,
                                 const char *subject, text *value_out, status *st)
{
    trial *t = self;
    if (!t->inner.fetch)
        return status_set(st, STATUS_NOT_FOUND, "there are no secrets here");
    status_class class = t->inner.fetch(t->inner.self, workspace, reference, subject, value_out, st);
    if (class == STATUS_OK && t->n_secrets < TRIAL_SECRETS_MAX)
        text_add_n(&t->secrets[t->n_secrets++], value_out->data, value_out->len);
    return class;
}

/* Writes `s` without the secrets into `out`. */
static void redact(const trial *t, const char *s, size_t len, text *out)
{
    for (size_t i = 0; i < len;) {
        size_t taken = 0;
        for (unsigned k = 0; k < t->n_secrets && !taken; k++) {
            const text *v = &t->secrets[k];
            if (v->len > SECRET_SHOWN_MAX && v->len <= len - i && memcmp(s + i, v->data, v->len) == 0)
                taken = v->len;
        }
        if (taken)
            text_add(out, "***");
        else
            text_add_char(out, s[i]);
        i += taken ? taken : 1;
    }
}

json_t *trial_text(const trial *t, const char *s, size_t len)
{
    text clean = {0}, quoted = {0};
    redact(t, s, len < TRIAL_TEXT_MAX ? len : TRIAL_TEXT_MAX, &clean);
    text_add_json_string(&quoted, text_or_empty(&clean),
                         clean.len); /* bytes that are no UTF-8 are replaced */
    json_t *out = json_loadb(quoted.data, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    text_free(&clean);
    text_free(&quoted);
    return out ? out : json_string("");
}

void trial_redact(const trial *t, status *st)
{
    text clean = {0};
    redact(t, st->text, strlen(st->text), &clean);
    snprintf(st->text, sizeof st->text, "%s", text_or_empty(&clean));
    text_free(&clean);
}

/* ---- life ---- */

static status_class make_instance(trial *t, const plugin_entry *entry, status *st)
{
    const trial_parts *p = t->parts;
    json_t *complete = NULL;
    status_class class = plugin_config_complete(entry, p->connector->config, &complete, st);
    if (class != STATUS_OK)
        return class;
    instance_settings settings = {.plugin = entry,
                                  .workspace = p->plan->definition->workspace_id,
                                  .workspace_key = p->plan->definition->workspace,
                                  .name = t->name,
                                  .config = complete,
                                  .given = p->connector->config,
                                  .secrets = {fetch_secret, t}};
    t->plugin = instance_create(p->flow->instances, &settings);
    json_decref(complete);
    return STATUS_OK;
}

status_class trial_begin(trial *t, const trial_parts *parts, status *st)
{
    char id[27];
    const plugin_entry *entry = catalog_find(parts->flow->catalog, parts->connector->plugin, st);
    *t = (trial){.parts = parts, .inner = parts->flow->secrets};
    if (!entry)
        return st->class;
    ulid_make(id);
    snprintf(t->name, sizeof t->name, "trial:%s", id);
    status_class class = make_instance(t, entry, st);
    plugin_entry_release(entry);
    return class;
}

static void forget_state(const trial *t)
{
    connection *c;
    status st;
    pool *control = t->parts->flow->control;
    const plugin_state_owner owner = {t->parts->plan->wid, t->name};
    if (pool_borrow(control, NULL, BORROW_WAIT_MS, &c, &st) != STATUS_OK)
        return;
    if (plugin_state_forget(c, &owner, &st) != STATUS_OK)
        log_status(LOG_LEVEL_WARN, "trial", "what a plugin kept in a trial is still there", &st);
    pool_return(control, c);
}

void trial_end(trial *t)
{
    if (t->plugin)
        forget_state(t);
    instance_free(t->plugin);
    for (unsigned i = 0; i < t->n_secrets; i++)
        secret_wipe(&t->secrets[i]);
}
