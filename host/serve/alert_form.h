/* Alerts as the API shows them: one item for each label set of each rule that was ever looked at. */
#ifndef PENSTOCK_SERVE_ALERT_FORM_H
#define PENSTOCK_SERVE_ALERT_FORM_H
#include <jansson.h>

#include "control/alert_state.h"
#include "control/definition.h"

#define ALERT_ID_SIZE 40

/* "al_" and 32 hex digits made of rule and labels: the same as long as they are. */
void alert_form_id(const char *rule, const char *labels, char out[ALERT_ID_SIZE]);
/* {id, rule, title, labels, state, severity, value, since, acked_by}; `d` may lack the rule. */
json_t *alert_form(const alert_record *r, const definition *d);
/* All of a workspace, those that changed last first; a new reference. With `open` those only that are
 * pending, firing or without data. */
status_class alert_forms(connection *c, int32_t wid, const definition *d, bool open, json_t **ret,
                         status *st);
#endif
