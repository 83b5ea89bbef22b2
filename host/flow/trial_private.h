/* What the files of a trial share. */
#ifndef PENSTOCK_FLOW_TRIAL_PRIVATE_H
#define PENSTOCK_FLOW_TRIAL_PRIVATE_H
#include "flow/trial.h"

enum { TRIAL_SECRETS_MAX = 16 };

typedef struct trial {
    const trial_parts *parts;
    instance *plugin;
    instance_secrets inner;
    char name[JOURNAL_INSTANCE_MAX];
    text secrets[TRIAL_SECRETS_MAX]; /* fetched during the trial */
    unsigned n_secrets;
} trial;

/* Starts nothing yet. */
status_class trial_begin(trial *t, const trial_parts *parts, status *st);
/* Also the plugin's state is forgotten, and the secrets. */
void trial_end(trial *t);
/* Cut to TRIAL_TEXT_MAX, without the values of secrets; a new reference. */
json_t *trial_text(const trial *t, const char *s, size_t len);
void trial_redact(const trial *t, status *st);
#endif
