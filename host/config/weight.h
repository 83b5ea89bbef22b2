/* Weights of workspaces, where they take turns for a thing that they share: the setting `weights`, items like
 * `acme=3` or `trial=0.5`. A workspace that is not named has 1. The operator's to say, so it stands in the
 * host's settings and in no template. */
#ifndef PENSTOCK_CONFIG_WEIGHT_H
#define PENSTOCK_CONFIG_WEIGHT_H
#include <stdint.h>

#include "base/status.h"
#include "config/settings.h"

/* Whether every item can be read: STATUS_INVALID with where = the setting's origin. */
status_class weights_check(const settings *s, status *st);
/* In hundredths (base/turns.h). The settings were checked. */
uint32_t weight_of(const settings *s, const char *workspace);
#endif
